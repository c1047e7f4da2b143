"""Finds what stands above the ground in a depth map.

Ground is not one plane: roads bend up and down, and a network's ground bends where the road does not. So the ground is
followed outwards from the fitted plane, column by column, from the bottom of the image upwards: a surface that is about
level and continues the ground before it is ground, but the ground never rises or falls by more than a given slope.
Stairs and walls rise faster and stay obstacles. A pixel's height is its height above the ground that was followed.

Unknown is kept apart from free: a direction is open only if the camera sees through it up to the range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth, check_map
from space_clip_ros.geometry.ground_plane import GroundPlane

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

STEEPEST = 0.5
"""Largest slope that the settings allow: steeper ground never looks level."""

_ROW_SHARE, _FINEST_PART, _COARSEST_PART = 1 / 9, 1 / 96, 1 / 32
"""Step between the rows in which the ground is followed: a share of the distance from the horizon, within two parts of
the map's height."""
_SIGMAS = 2.0
_NOISE_REACH_M = 10.0
"""The noise that the plane was fitted with holds up to here; beyond, it is taken to grow in proportion to depth."""
_EVIDENCE_ROWS = 2
"""Look in every n-th row for what is open and what is unknown."""
_MAPS = 7
"""Maps that are kept for a camera, so that no image allocates new ones."""


@dataclass(frozen=True)
class ObstacleLimits:
    """What counts as an obstacle.

    Attributes:
        min_height: lowest, metres above the ground.
        max_height: highest, metres above the ground; a robot passes below anything higher.
        max_range: furthest, metres from the camera along the ground.
        max_slope: steepest ground, metres of rise per metre.

    Raises:
        InputError: limits that contradict each other, or that no ground can meet.
    """

    min_height: float = 0.2
    max_height: float = 2.0
    max_range: float = 30.0
    max_slope: float = 0.1

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 < self.min_height < self.max_height < math.inf:
            raise InputError(
                "min_height must be above 0 and below max_height, metres, "
                f"got {self.min_height:g} and {self.max_height:g}"
            )
        if not 0 < self.max_range < math.inf:
            raise InputError(f"max_range must be above 0 metres, got {self.max_range:g}")
        if not 0 <= self.max_slope <= STEEPEST:
            raise InputError(f"max_slope must be from 0 to {STEEPEST}, got {self.max_slope:g}")


def _no_points() -> Floats:
    return np.empty((0, 3), np.float32)


@dataclass(frozen=True)
class Obstacles:
    """What stands in the way, where the view is open, and where it is unknown.

    Attributes:
        points: (n, 3) float32 x y z of the obstacles' pixels in the camera's optical frame, metres.
        pixels: (n,) their places in the flattened map.
        open_points: (m, 3) float32 x y z of places at ``max_range`` that are seen through. They come from every second
            row of the map.
        unknown_points: (k, 3) float32 x y z of places where something may stand that the depth map does not show, from
            every second row: on ground within ``max_range`` that has no depth, and at depth that is doubtful.
    """

    points: Floats
    pixels: Places
    open_points: Floats
    unknown_points: Floats = field(default_factory=_no_points)


class ObstacleFinder:
    """Finds what stands above the ground in one camera's depth maps; keeps rays and buffers between calls.

    Not thread-safe: calls share buffers. The caller owns what is returned.

    Args:
        camera: the depth maps' camera.
    """

    def __init__(self, camera: PinholeCamera) -> None:
        """Compute the rays."""
        self._camera = camera
        self._turned: dict[int, ObstacleFinder] = {}
        self._rays = _Rays(camera)
        self._memory = np.empty((_MAPS, camera.height, camera.width), np.float32)

    def find(
        self,
        depth: Depth,
        plane: GroundPlane,
        limits: ObstacleLimits,
        doubtful: Depth | None = None,
        seen: Mask | None = None,
    ) -> Obstacles:
        """Find what stands above the ground.

        Noise must not turn ground into obstacles, so the lowest height grows by two standard deviations of the ground's
        heights about the plane, and from 10 m on that part grows with depth. Where the plane's tilt is uncertain it
        also grows with distance; what that alone leaves out is unknown.

        Args:
            depth: (H, W) float32 metres, of the camera's size, NaN where invalid. Invalid pixels are never obstacles.
                What is known to be far may have any depth beyond ``limits.max_range``. The time it takes is that of its
                pixels; :meth:`~space_clip_ros.geometry.pixel_grid.PixelGrid.nearest` takes no more of them than a
                network has estimated.
            plane: the ground near the camera.
            limits: what counts.
            doubtful: (H, W) float32 metres, depth that is not good enough for ``depth``, NaN elsewhere. What it shows
                is unknown. None for none.
            seen: (H, W) bool, false where the camera sees nothing, as beyond the border of a rectified image. Missing
                depth there leaves nothing unknown. None for a camera that sees everywhere.

        Raises:
            InputError: a map that is not of the camera's size.
        """
        check_map(depth)
        size = self._memory.shape[1:]
        for name, values in (("depth", depth), ("doubtful", doubtful), ("seen", seen)):
            if values is not None and values.shape != size:
                raise InputError(f"{name} must have the camera's shape {size}, got {values.shape}")
        if turns := _turns(plane):
            return self._find_turned(turns, depth, plane, limits, doubtful, seen)
        view = _View(np.ascontiguousarray(depth, np.float32), self._rays, self._memory, plane, limits)
        view.take_off_ground()
        standing = view.height > view.lowest
        standing &= view.height < np.float32(limits.max_height)
        standing &= view.distance <= np.float32(limits.max_range)
        pixels = np.flatnonzero(standing)
        return Obstacles(
            self._rays.points(pixels, view.z.ravel()[pixels]),
            pixels,
            view.open_points(),
            view.unknown_points(doubtful, seen),
        )

    def _find_turned(
        self,
        turns: int,
        depth: Depth,
        plane: GroundPlane,
        limits: ObstacleLimits,
        doubtful: Depth | None,
        seen: Mask | None,
    ) -> Obstacles:
        """Find them in the image turned by quarters, so that the ground is at its bottom; return them turned back."""
        camera = self._camera
        for _ in range(turns):
            camera = PinholeCamera(
                camera.height, camera.width, camera.fy, camera.fx, camera.cy, camera.width - 1 - camera.cx
            )
        if turns not in self._turned:
            self._turned[turns] = ObstacleFinder(camera)
        x, y, z = _turned(np.array([plane.normal]), turns)[0].tolist()
        found = self._turned[turns].find(
            np.rot90(depth, turns),
            replace(plane, normal=(x, y, z)),
            limits,
            None if doubtful is None else np.rot90(doubtful, turns),
            None if seen is None else np.rot90(seen, turns),
        )
        places = np.rot90(np.arange(depth.size).reshape(depth.shape), turns).ravel()
        return Obstacles(
            _turned(found.points, 4 - turns),
            places[found.pixels],
            _turned(found.open_points, 4 - turns),
            _turned(found.unknown_points, 4 - turns),
        )


def _turns(plane: GroundPlane) -> int:
    """Return by how many quarters to turn an image counterclockwise so that the ground is at its bottom."""
    x, y, _ = plane.normal
    if abs(x) > abs(y):
        return 1 if x > 0 else 3
    return 2 if y > 0 else 0


def _turned(points: npt.NDArray[np.floating], turns: int) -> npt.NDArray[np.floating]:
    """Return (n, 3) points in the optical frame of a camera whose image is turned by quarters counterclockwise."""
    for _ in range(turns):
        points = np.stack([points[:, 1], -points[:, 0], points[:, 2]], axis=-1)
    return points


class _Rays:
    """The rays of a camera's pixels, (x, y, 1) in the optical frame."""

    def __init__(self, camera: PinholeCamera) -> None:
        self.camera = camera
        self._x = ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32)
        self._y = ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32)
        self._square = np.square(self._y)[:, None] + (np.square(self._x) + 1)
        xyz = np.ones((camera.height, camera.width, 3), np.float32)
        xyz[..., 0], xyz[..., 1] = self._x, self._y[:, None]
        self._xyz = xyz.reshape(-1, 3)

    def along(self, plane: GroundPlane, rise: Floats, run: Floats) -> None:
        """Write how far each ray rises above a plane and how far it leads away along it, per metre of depth."""
        nx, ny, nz = (np.float32(value) for value in plane.normal)
        np.add((ny * self._y)[:, None], nx * self._x + nz, out=rise)
        np.square(rise, out=run)
        np.subtract(self._square, run, out=run)
        np.maximum(run, np.float32(1e-6), out=run)
        np.sqrt(run, out=run)

    def points(self, pixels: Places, z: Floats) -> Floats:
        """Return (n, 3) points at depths ``z`` of pixels of the flattened map."""
        points = self._xyz.take(pixels, axis=0)
        points *= z[:, None]
        return points


class _View:
    """A depth map above a plane.

    Attributes:
        z: (H, W) depth, metres.
        height: (H, W) above the plane, metres; after :meth:`take_off_ground` above the ground.
        distance: (H, W) along the plane, metres.
        lowest: (H, W) least height of an obstacle above the ground, metres.
    """

    def __init__(self, z: Floats, rays: _Rays, memory: Floats, plane: GroundPlane, limits: ObstacleLimits) -> None:
        self.z = z
        self._rays = rays
        self._plane = plane
        self._limits = limits
        self._rise, self._run, self.height, self.distance, self.lowest, *self._spare = memory
        rays.along(plane, self._rise, self._run)
        np.multiply(z, self._rise, out=self.height)
        self.height += np.float32(plane.height_m)
        np.multiply(z, self._run, out=self.distance)
        noise = _SIGMAS * math.hypot(plane.height_std_m, plane.residual_std * plane.height_m)
        np.multiply(z, np.float32(noise / _NOISE_REACH_M), out=self.lowest)
        np.maximum(self.lowest, np.float32(noise), out=self.lowest)
        self.lowest += np.float32(limits.min_height)
        self._tilted = np.float32(_SIGMAS * math.tan(plane.tilt_std))
        if plane.tilt_std:
            self.lowest += self._tilted * self.distance

    def take_off_ground(self) -> None:
        """Subtract from each pixel's height that of the ground it stands on."""
        rows = self._rows()
        heights, distances = self._follow(rows)
        between, (ground, share) = _Between(rows, len(self.z)), self._spare
        between.spread(heights, ground)
        # A pixel nearer than the last ground seen in its column stands on ground between that and the camera. Inverse
        # depth is linear in the picture, so it interpolates well.
        between.spread(self._run[rows] / np.maximum(distances, np.float32(1e-3)), share)
        share *= self.z
        ground *= np.minimum(share, np.float32(1), out=share)
        self.height -= ground

    def open_points(self) -> Floats:
        """Return the places at ``max_range`` that are seen through below ``max_height``."""
        rows = slice(None, None, _EVIDENCE_ROWS)
        reach = np.float32(self._limits.max_range) / self._run[rows]
        through = reach * self._rise[rows] <= np.float32(self._limits.max_height - self._plane.height_m)
        through &= self.z[rows] > reach
        return self._places(through, reach)

    def unknown_points(self, doubtful: Depth | None, seen: Mask | None) -> Floats:
        """Return where something may stand that the depth map does not show."""
        rows = slice(None, None, _EVIDENCE_ROWS)
        rise, run = self._rise[rows], self._run[rows]
        # Anything within the range hides ground within it, at least at its foot.
        missing = rise * np.float32(-self._limits.max_range / self._plane.height_m) > run
        missing &= np.isnan(self.z[rows])
        if seen is not None:
            missing &= seen[rows]
        with np.errstate(divide="ignore"):
            ground = np.float32(-self._plane.height_m) / rise
        found = [self._places(missing, ground)]
        if self._plane.tilt_std:
            height, distance, lowest = self.height[rows], self.distance[rows], self.lowest[rows]
            low = (height <= lowest) & (height > lowest - self._tilted * distance)
            low &= distance <= np.float32(self._limits.max_range)
            found.append(self._places(low, self.z[rows]))
        if doubtful is not None:
            z = np.ascontiguousarray(doubtful[rows], np.float32)
            near = z * run <= np.float32(self._limits.max_range)
            near &= z * rise < np.float32(self._limits.max_height - self._plane.height_m)
            found.append(self._places(near, z))
        return np.concatenate(found)

    def _places(self, chosen: Mask, z: Floats) -> Floats:
        """Return the points at depths ``z`` of pixels chosen of every :data:`_EVIDENCE_ROWS`-th row."""
        places, width = np.flatnonzero(chosen), chosen.shape[1]
        pixels = places + places // width * ((_EVIDENCE_ROWS - 1) * width)
        return self._rays.points(pixels, z.ravel()[places])

    def _rows(self) -> Places:
        """Return the rows to follow the ground over, from the bottom up.

        Above them, rays reach beyond the range before they meet the steepest ground that rises from below the camera.
        """
        camera = self._rays.camera
        steepest = self._limits.max_slope - self._plane.height_m / self._limits.max_range
        size, climb = camera.height, max(steepest, 0) * camera.fy
        _, ny, nz = self._plane.normal
        # The row in which the middle column's rays are level. A camera that looks straight down has it far above.
        horizon = camera.cy - camera.fy * nz / min(ny, -1e-3)
        finest, row, rows = max(size * _FINEST_PART, 1), float(size - 1), [size - 1]
        steep = np.flatnonzero(np.minimum(self._rise[:, 0], self._rise[:, -1]) > steepest)
        last = int(steep[-1]) if steep.size else 0
        while row > last:
            away = max(row - horizon, horizon - climb - row, 0)
            row = max(row - max(min(away * _ROW_SHARE, size * _COARSEST_PART), finest), 0)
            rows.append(int(row))
        # Two rows at least, to interpolate between.
        return np.unique([*rows, max(size - 2, 0)])[::-1]

    def _follow(self, rows: Places) -> tuple[Floats, Floats]:
        """Return the last ground at or below each pixel of these rows, in its column: its height and its distance."""
        surface, away = self.height[rows], self.distance[rows]
        # From each row to the next one up, ground is about level and leads away from the camera. NaN is never level.
        level = np.abs(np.diff(surface, axis=0)) <= STEEPEST * np.diff(away, axis=0)
        # Ground beyond the range need not be followed.
        level &= away[:-1] <= np.float32(self._limits.max_range)
        tolerance = np.where(level, self.lowest[rows[:-1]], np.float32(-np.inf))
        busy = np.flatnonzero(level.any(axis=1))
        heights = np.zeros((len(busy) + 1, surface.shape[1]), np.float32)
        distances = np.empty_like(heights)
        # The plane is the ground up to where the view begins.
        rise, start = self._rise[rows[0]], self._run[rows[0]] * np.float32(self._plane.height_m)
        np.divide(start, np.maximum(-rise, np.float32(1e-6)), out=distances[0])
        distances[0][rise >= 0] = 0
        # A few hundred numbers a row: NumPy's calls cost more than its work, and these are its quickest.
        zero, slope = np.zeros_like(start), np.full_like(start, self._limits.max_slope)
        leeway, step, size, most = (np.empty_like(start) for _ in range(4))
        mask = np.empty(start.shape, np.bool_)
        now, seen = heights[0].copy(), distances[0].copy()
        steps = zip(surface[busy], away[busy], tolerance[busy], heights[1:], distances[1:], strict=True)
        for surface_here, away_here, tolerance_here, height, distance in steps:
            np.subtract(away_here, seen, leeway)
            np.multiply(leeway, slope, leeway)
            np.maximum(leeway, zero, leeway)
            np.subtract(surface_here, now, step)
            np.abs(step, size)
            np.add(tolerance_here, leeway, most)
            np.less_equal(size, most, mask)
            # The ground follows the surface only as far as the slope allows.
            np.minimum(size, leeway, size)
            np.copysign(size, step, step)
            np.add(now, step, step)
            np.putmask(now, mask, step)
            np.putmask(seen, mask, away_here)
            height[:], distance[:] = now, seen
        last = np.searchsorted(busy, np.arange(len(rows)), side="right")
        return heights[last], distances[last]


class _Between:
    """Interpolates between rows of a map, which are given from the bottom up."""

    def __init__(self, rows: Places, height: int) -> None:
        # OpenCV's resize takes rows of equal distance only.
        grid, count = np.arange(height), len(rows)
        after = np.searchsorted(rows[::-1], grid, side="right").clip(1, max(count - 1, 1))
        self._upper, self._lower = count - after, count - 1 - after
        span = np.maximum(rows[self._lower] - rows[self._upper], 1)
        self._weight = np.clip((grid - rows[self._upper]) / span, 0, 1).astype(np.float32)[:, None]

    def spread(self, values: Floats, out: Floats) -> None:
        """Write the rows' values for every row of the map."""
        upper = values.take(self._upper, axis=0)
        values.take(self._lower, axis=0, out=out, mode="clip")
        out -= upper
        out *= self._weight
        out += upper
