"""Finds what stands above the ground in a depth map.

Ground is not one plane: roads bend up and down, and a network's ground bends where the road does not. So the ground is
followed outwards from the fitted plane, column by column, from the bottom of the image upwards: a surface that is about
level and continues the ground before it is ground, but the ground never rises or falls by more than a given slope.
Stairs and walls rise faster and stay obstacles. A pixel's height is its height above the ground that was followed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth, check_map
from space_clip_ros.geometry.ground_plane import GroundPlane, height_map

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

STEEPEST = 0.5
"""Largest slope that can be asked for: what is steeper never looks level."""

_CELL_COLUMNS = 160
"""Columns along which the ground is followed."""
_ROW_SHARE, _FINEST_ROWS, _FEWEST_ROWS = 1 / 9, 4, 32
"""From one row that the ground is followed over to the next, as a share of the distance from the horizon, at least
four rows of the image, and at most a part of its height."""
_SIGMAS = 2.0
_NOISE_REACH_M = 10.0
"""The noise that the plane was fitted with holds up to here; beyond, it is taken to grow in proportion to depth."""
_EVIDENCE_ROWS = 4
"""Look for open directions in every n-th row of the grid: ground is never one row high."""


@dataclass(frozen=True)
class ObstacleLimits:
    """What counts as an obstacle.

    Attributes:
        min_height: lowest, metres above the ground.
        max_height: highest, metres above the ground; a robot passes below what is higher.
        max_range: furthest, metres from the camera along the ground.
        max_slope: steepest ground, metres of rise per metre.
        max_uncertainty: largest standard deviation of depth, as a share of it; 0 for any.

    Raises:
        InputError: limits that contradict each other, or that no ground can meet.
    """

    min_height: float = 0.2
    max_height: float = 2.0
    max_range: float = 30.0
    max_slope: float = 0.1
    max_uncertainty: float = 0.0

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
        if not self.max_uncertainty >= 0:
            raise InputError(f"max_uncertainty must be 0 or more, got {self.max_uncertainty:g}")


@dataclass(frozen=True)
class Obstacles:
    """What stands in the way, and where the view is open.

    Attributes:
        points: (n, 3) float32 x y z of the obstacles' pixels in the camera's optical frame, metres.
        pixels: (n,) their places in the flattened grid of every ``stride``-th pixel.
        open_points: (m, 3) float32 x y z of ground that is seen, and of places at ``max_range`` that are seen through.
            They come from every fourth row of the grid and show which directions are open.
    """

    points: Floats
    pixels: Places
    open_points: Floats


def find_obstacles(
    depth: Depth,
    camera: PinholeCamera,
    plane: GroundPlane,
    limits: ObstacleLimits,
    stride: int = 1,
    uncertainty: Depth | None = None,
) -> Obstacles:
    """Find what stands above the ground.

    Noise must not turn ground into obstacles, so the lowest height grows by two standard deviations of the ground's
    heights about the plane, and from 10 m on that part grows with depth.

    Args:
        depth: (H, W) float32 metres, of the camera's size, NaN where invalid. Invalid pixels are never obstacles.
        camera: its camera.
        plane: the ground near the camera.
        limits: what counts.
        stride: take every n-th pixel in both directions, starting at the top left, as a cloud does.
        uncertainty: (H, W) float32 standard deviation of ``depth``, metres. Pixels where it is NaN, or a larger share
            of depth than ``limits.max_uncertainty``, are no obstacles. None where it is unknown: that limit is ignored.

    Raises:
        InputError: a map that is not of the camera's size, or a stride below 1.
    """
    height = height_map(plane, depth, camera, stride)
    z = np.ascontiguousarray(depth[::stride, ::stride], np.float32)
    cells = _Cells(z.shape, _Rays(camera, plane, stride), limits.max_slope)
    lowest = _lowest(z, plane, limits)
    ground, inverse_depth = (cells.spread(one) for one in _followed_ground(cells, height, z, plane, limits))
    # What is nearer than the ground that was seen in its column stands on ground in between.
    inverse_depth *= z
    ground *= np.minimum(inverse_depth, np.float32(1), out=inverse_depth)
    height -= ground
    reach = np.float32(limits.max_range) / cells.spread(cells.run)
    standing = (height > lowest) & (height < np.float32(limits.max_height)) & (z <= reach)
    if uncertainty is not None and limits.max_uncertainty:
        standing &= _certain(uncertainty, depth, limits.max_uncertainty)[::stride, ::stride]
    rows = slice(None, None, _EVIDENCE_ROWS)
    level = np.abs(height[rows]) <= lowest[rows]
    pixels = np.flatnonzero(standing)
    points = cells.rays.points(pixels, z.ravel()[pixels])
    return Obstacles(points, pixels, _open_points(level, z[rows], reach[rows], cells.rays, plane, limits))


class _Rays:
    """The rays of every ``stride``-th pixel, (x, y, 1) in the optical frame, next to the ground plane."""

    def __init__(self, camera: PinholeCamera, plane: GroundPlane, stride: int) -> None:
        self.x = ((np.arange(0, camera.width, stride) - camera.cx) / camera.fx).astype(np.float32)
        self.y = ((np.arange(0, camera.height, stride) - camera.cy) / camera.fy).astype(np.float32)
        self.stride = stride
        self.per_row = camera.fy / stride
        """Rows of the grid per unit of slope, near the optical axis."""
        self._normal = plane.normal
        _, ny, nz = plane.normal
        # A camera that looks straight down has its horizon far above the picture.
        self.horizon = (camera.cy - camera.fy * nz / min(ny, -1e-3)) / stride
        """Row of the grid in which the middle column's rays are level."""

    def points(self, pixels: Places, z: Floats) -> Floats:
        """Return (n, 3) points at depths ``z`` of pixels of the flattened grid."""
        row = pixels // self.x.size
        column = pixels - row * self.x.size
        points = np.empty((pixels.size, 3), np.float32)
        points[:, 2] = z
        np.multiply(self.x[column], z, out=points[:, 0])
        np.multiply(self.y[row], z, out=points[:, 1])
        return points

    def rise(self, rows: Places | slice, columns: Places | slice) -> Floats:
        """Return how far the rays of some rows and columns rise above the plane per metre of depth."""
        nx, ny, nz = (np.float32(value) for value in self._normal)
        return np.asarray(ny * self.y[rows][:, None] + (nx * self.x[columns] + nz), np.float32)

    def run(self, rows: Places, columns: Places, rise: Floats) -> Floats:
        """Return how far those rays lead away along the plane per metre of depth."""
        square = np.square(self.y[rows])[:, None] + (np.square(self.x[columns]) + 1) - np.square(rise)
        return np.asarray(np.sqrt(np.maximum(square, np.float32(1e-6))))


def _middles(size: int, count: int) -> Places:
    """Return the middles of ``count`` equal parts of ``size`` pixels."""
    return ((np.arange(count) + 0.5) * size / count).astype(np.intp)


class _Cells:
    """Sampled pixels in columns, from the bottom row up: the nearer to the horizon, the closer their rows lie."""

    def __init__(self, shape: tuple[int, ...], rays: _Rays, max_slope: float) -> None:
        self.rays = rays
        self._shape = shape
        rows, columns = self._rows(max_slope), _middles(shape[1], min(shape[1], _CELL_COLUMNS))
        self._places = np.ix_(rows, columns)
        self._column = np.arange(shape[1]) * len(columns) // shape[1]
        self.rise = rays.rise(rows, columns)
        self.run = rays.run(rows, columns, self.rise)
        # Every row of the grid lies between two rows of cells.
        grid = np.arange(shape[0])
        after = np.searchsorted(rows[::-1], grid, side="right").clip(1, max(len(rows) - 1, 1))
        self._upper, self._lower = len(rows) - after, len(rows) - 1 - after
        span = np.maximum(rows[self._lower] - rows[self._upper], 1)[:, None]
        self._weight = np.clip((grid[:, None] - rows[self._upper][:, None]) / span, 0, 1).astype(np.float32)

    def of(self, grid: Floats) -> Floats:
        """Return a grid's values in the cells."""
        return grid[self._places]

    def spread(self, values: Floats) -> Floats:
        """Return the cells' values for every pixel of the grid: interpolated along columns, alike within a column."""
        # OpenCV's resize takes rows of equal distance only.
        wide = values.take(self._column, axis=1)
        upper, spread = wide[self._upper], wide[self._lower]
        spread -= upper
        spread *= self._weight
        spread += upper
        return np.asarray(spread, np.float32)

    def _rows(self, max_slope: float) -> Places:
        """Return the rows from the bottom up to where every ray rises above the steepest ground."""
        size, horizon, climb = self._shape[0], self.rays.horizon, max_slope * self.rays.per_row
        finest, row, rows = max(_FINEST_ROWS / self.rays.stride, 1), float(size - 1), [size - 1]
        edges = np.array([0, self._shape[1] - 1])
        steep = np.flatnonzero(self.rays.rise(slice(None), edges).min(axis=1) > max_slope)
        last = int(steep.max()) if steep.size else 0
        while row > last:
            away = max(row - horizon, horizon - climb - row, 0)
            row = max(row - max(min(away * _ROW_SHARE, size / _FEWEST_ROWS), finest), 0)
            rows.append(int(row))
        # Two rows at least, to interpolate between.
        return np.unique([*rows, max(size - 2, 0)])[::-1]


def _lowest(z: Floats, plane: GroundPlane, limits: ObstacleLimits) -> Floats:
    """Return the height above the ground from which on a pixel is an obstacle, metres."""
    noise = _SIGMAS * math.hypot(plane.height_std_m, plane.residual_std * plane.height_m)
    lowest = np.maximum(z * np.float32(noise / _NOISE_REACH_M), np.float32(noise))
    lowest += np.float32(limits.min_height)
    return np.asarray(lowest, np.float32)


def _certain(uncertainty: Depth, depth: Depth, max_uncertainty: float) -> Mask:
    check_map(uncertainty)
    if uncertainty.shape != depth.shape:
        raise InputError(f"uncertainty must have depth's shape {depth.shape}, got {uncertainty.shape}")
    return np.asarray(uncertainty <= np.float32(max_uncertainty) * depth)


def _followed_ground(
    cells: _Cells, height: Floats, z: Floats, plane: GroundPlane, limits: ObstacleLimits
) -> tuple[Floats, Floats]:
    """Return the ground seen last in every cell's column, from below: its height above the plane, and inverse depth."""
    surface, depth = cells.of(height), cells.of(z)
    lowest, distance = _lowest(depth, plane, limits), depth * cells.run
    # From each cell to the next one up, ground is about level and leads away from the camera. NaN is never level.
    level = np.zeros(surface.shape, np.bool_)
    level[:-1] = np.abs(np.diff(surface, axis=0)) <= STEEPEST * np.diff(distance, axis=0)
    # The plane is the ground up to where the view begins.
    fall = np.maximum(-cells.rise[0], np.float32(1e-6))
    seen_at = np.where(cells.rise[0] < 0, cells.run[0] * np.float32(plane.height_m) / fall, np.float32(0))
    now = np.zeros(surface.shape[1], np.float32)
    ground, seen = np.empty(surface.shape, np.float32), np.empty(surface.shape, np.float32)
    slope = np.float32(limits.max_slope)
    leeway, step = np.empty_like(now), np.empty_like(now)
    for row in range(len(surface)):
        np.subtract(distance[row], seen_at, out=leeway)
        np.maximum(leeway, 0, out=leeway)
        np.multiply(leeway, slope, out=leeway)
        np.subtract(surface[row], now, out=step)
        found = np.abs(step) <= lowest[row] + leeway
        found &= level[row]
        np.minimum(step, leeway, out=step)
        np.maximum(step, np.negative(leeway, out=leeway), out=step)
        np.add(now, step, out=now, where=found)
        np.copyto(seen_at, distance[row], where=found)
        ground[row], seen[row] = now, seen_at
    # Inverse depth is linear in the picture, so it is what interpolates well.
    return ground, cells.run / np.maximum(seen, np.float32(1e-3))


def _open_points(
    ground: Mask, z: Floats, reach: Floats, rays: _Rays, plane: GroundPlane, limits: ObstacleLimits
) -> Floats:
    """Return ground that is seen, and the places at ``max_range`` that are seen through below ``max_height``.

    Args:
        ground: (r, w) which pixels show ground, in the rows for evidence.
        z: (r, w) depth in those rows, metres.
        reach: (r, w) depth of ``max_range`` in those rows, metres.
        rays: of the whole grid.
        plane: the ground near the camera.
        limits: what counts.
    """
    rise = rays.rise(slice(None, None, _EVIDENCE_ROWS), slice(None))
    passed = np.float32(plane.height_m) + reach * rise
    through = (z > reach) & (passed <= np.float32(limits.max_height))
    seen = np.flatnonzero(ground | through)
    skipped = (_EVIDENCE_ROWS - 1) * rays.x.size
    pixels = seen + seen // rays.x.size * skipped
    return rays.points(pixels, np.minimum(z, reach).ravel()[seen])
