"""Finds the ground in a depth map.

In the camera's optical frame (x right, y down, z forward) the ground is n . X + h = 0: n is its unit normal, pointing
up, and h the camera's height above it. A pixel's ray is r = ((u - cx) / fx, (v - cy) / fy, 1), and X = z r, so inverse
depth is linear in the ray: 1 / z = q . r with q = -n / h. The fit works on that form. Its residual, 1 - z q . r, is a
point's height above the plane as a share of h. It does not depend on the depth map's scale, and noise that is a fixed
share of depth has the same size in it near and far.
"""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth, check_map, valid

Vector = npt.NDArray[np.float64]

LEVEL = (0.0, -1.0, 0.0)
"""The direction up for a camera that is mounted level, in its optical frame."""

_SAMPLES = 3200
"""Pixels sampled from a whole image, on a grid."""
_FEWEST = 40
"""Fewest pixels for a plane."""
_CANDIDATES = 192
_SCORED = 700
_ROUNDS = 8
_TOLERANCE = 0.08
"""Largest residual of a point on the ground: 13 cm at a camera height of 1.65 m, below the height of a kerb."""
_FINEST = 0.005
"""Residual that is always forgiven, so that exact depth does not make every rounding error an outlier."""
_SHORTEST = 1.35
"""Least ratio of the furthest to the nearest ground: a band of a wall that a level plane cuts through has 1.2."""
_STEEP = math.sin(math.radians(45))
"""A camera that looks down by more than this sees all of the ground at about the same distance, and no walls."""
_BELOW = 0.3
"""Most pixels below the plane, as a share of those on it. A plane with more below it is not the ground."""
_PATCHES = 100
"""Independent errors in an image: a network's errors are the same over about a tenth of each side."""


class NoGround(str, enum.Enum):
    """Why no ground was found; the value is a text for people."""

    OUT_OF_VIEW = "too little of the view lies below the horizon"
    NO_DEPTH = "too little of the view below the horizon has depth"
    NO_PLANE = "no level plane in view"
    TOO_SMALL = "the level plane in view is too small"
    TOO_SHORT = "the level plane in view is only a band"
    UNDERCUT = "too much lies below the level plane in view"


@dataclass(frozen=True)
class GroundPlane:
    """The ground in the camera's optical frame.

    Attributes:
        normal: unit normal x, y, z, pointing up; (0, -1, 0) for a level camera.
        height_m: the camera's height above the plane, metres of the depth map it was fitted to.
        height_std_m: standard deviation of that, metres: from the residuals, the leverage of the ground in view, and
            a network's errors being the same over whole patches. An error that the whole map shares is not in it.
        inliers: sampled pixels on the plane.
        inlier_share: those as a share of all sampled pixels that look down and have depth.
        residual_std: standard deviation of the inliers' heights above the plane, as a share of ``height_m``.
        tilt_std: standard deviation of the plane's tilt, radians, as far as ``residual_std`` does not contain it; 0 for
            a plane that was fitted.
    """

    normal: tuple[float, float, float]
    height_m: float
    height_std_m: float
    inliers: int
    inlier_share: float
    residual_std: float
    tilt_std: float = 0.0

    @property
    def tilt_deg(self) -> float:
        """Angle between the normal and a level camera's up, degrees."""
        return math.degrees(math.acos(min(1.0, -self.normal[1])))

    def heights(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return the heights of points above the plane.

        Args:
            points: (..., 3) x y z in the camera's optical frame, metres, NaN where invalid.

        Returns:
            (...) float32 metres, NaN where invalid.
        """
        return np.asarray(points @ np.asarray(self.normal, np.float32) + np.float32(self.height_m), np.float32)

    def scaled(self, factor: float) -> GroundPlane:
        """Return the plane of the same depth map times a factor."""
        return replace(self, height_m=self.height_m * factor, height_std_m=self.height_std_m * factor)


@dataclass(frozen=True)
class _Samples:
    rays: npt.NDArray[np.float32]
    """(N, 3), z is 1."""
    points: npt.NDArray[np.float32]
    """(N, 3), rays times depth."""
    below_horizon: int
    """How many of the sampled pixels look down, with depth or without."""


def up_vector(roll_deg: float, pitch_deg: float) -> tuple[float, float, float]:
    """Return the direction up in the optical frame of a camera that is rolled and pitched.

    Args:
        roll_deg: clockwise turn of the camera about its optical axis as seen from behind it, degrees.
        pitch_deg: how far the camera looks down, degrees.
    """
    roll, pitch = math.radians(roll_deg), math.radians(pitch_deg)
    return (-math.sin(roll) * math.cos(pitch), -math.cos(roll) * math.cos(pitch), -math.sin(pitch))


def fit_ground_plane(
    depth: Depth,
    camera: PinholeCamera,
    *,
    up: npt.ArrayLike = LEVEL,
    tolerance_deg: float = 8.0,
    min_slope: float = 0.04,
    min_share: float = 0.25,
) -> GroundPlane | NoGround:
    """Fit the ground plane to a depth map; the same map gives the same plane.

    Random triples of pixels propose planes, those that are not level are dropped, the one that most pixels agree with
    is refined by reweighted least squares. Takes about a millisecond.

    Args:
        depth: (H, W) float32 metres, of the camera's size, NaN where invalid; dense or sparse.
        camera: its camera.
        up: direction up in the optical frame, of any length; see :func:`up_vector`.
        tolerance_deg: largest angle between the plane's normal and ``up``, degrees.
        min_slope: look only at pixels whose rays fall by more than this per metre forward, so at ground nearer than
            the camera's height over ``min_slope``: 41 m at 1.65 m.
        min_share: share of the sampled pixels that look down and have depth that must lie on the plane.

    Returns:
        The plane, or why there is none.

    Raises:
        InputError: depth is not a float map of the camera's size, or an argument out of its range.
    """
    check_map(depth)
    if depth.shape != (camera.height, camera.width):
        raise InputError(f"depth must have the camera's shape {(camera.height, camera.width)}, got {depth.shape}")
    upward = _unit(up)
    _check(tolerance_deg, min_slope, min_share)
    samples = _sample(depth, camera, upward, min_slope)
    if len(samples.rays) < _FEWEST:
        return NoGround.NO_DEPTH if samples.below_horizon >= _FEWEST else NoGround.OUT_OF_VIEW
    proposed = _propose(samples, upward, math.cos(math.radians(tolerance_deg)))
    if proposed is None:
        return NoGround.NO_PLANE
    q, spread, covariance = _refine(samples, proposed)
    residual = _residuals(samples, q)
    on_plane = np.abs(residual) < _reach(spread)
    inliers = int(on_plane.sum())
    height, normal = 1.0 / float(np.linalg.norm(q)), -q / np.linalg.norm(q)
    share = inliers / len(residual)
    if not float(normal @ upward) >= math.cos(math.radians(tolerance_deg)):
        return NoGround.NO_PLANE
    if inliers < _FEWEST or share < min_share:
        return NoGround.TOO_SMALL
    fall = np.sort((samples.rays @ -normal.astype(np.float32))[on_plane])
    if -upward[2] < _STEEP and fall[-1 - inliers // 10] < _SHORTEST * fall[inliers // 10]:
        return NoGround.TOO_SHORT
    if np.count_nonzero(residual < -2 * _TOLERANCE) > _BELOW * inliers:
        return NoGround.UNDERCUT
    std = height * math.sqrt(float(normal @ covariance @ normal)) * height
    x, y, z = (float(value) for value in normal)
    return GroundPlane((x, y, z), height, std, inliers, share, float(residual[on_plane].std()))


def visible_ground(depth: Depth, camera: PinholeCamera) -> GroundPlane | None:
    """Return the plane of :func:`fit_ground_plane` for a level camera; None where there is none."""
    ground = fit_ground_plane(depth, camera)
    return ground if isinstance(ground, GroundPlane) else None


def ground_pixels(
    plane: GroundPlane, depth: Depth, camera: PinholeCamera, min_slope: float = 0.04
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the rays (N, 3), with z 1, and the depth (N,), metres, of sampled pixels that lie on the plane.

    They are within 8 % of the camera's height of it; the fit's inliers are fewer where the ground is smoother.

    Args:
        plane: the ground.
        depth: the depth map it was fitted to.
        camera: its camera.
        min_slope: as in the fit, measured against the plane.
    """
    normal = np.asarray(plane.normal)
    samples = _sample(depth, camera, normal, min_slope)
    kept = np.abs(_residuals(samples, -normal / plane.height_m)) < _TOLERANCE
    return samples.rays[kept], samples.points[kept, 2]


def _check(tolerance_deg: float, min_slope: float, min_share: float) -> None:
    if not 0 < tolerance_deg < 90:
        raise InputError(f"tolerance_deg must be between 0 and 90, got {tolerance_deg}")
    if not min_slope > 0:
        raise InputError(f"min_slope must be above 0, got {min_slope}")
    if not 0 <= min_share <= 1:
        raise InputError(f"min_share must be from 0 to 1, got {min_share}")


def _unit(up: npt.ArrayLike) -> Vector:
    vector = np.asarray(up, np.float64)
    length = float(np.linalg.norm(vector)) if vector.shape == (3,) else math.nan
    if not 0 < length < math.inf:
        raise InputError(f"up must be three finite numbers, not all 0, got {vector.tolist()}")
    return vector / length


def _sample(depth: Depth, camera: PinholeCamera, up: Vector, min_slope: float) -> _Samples:
    """Take pixels that look down: on a grid of a dense map, among all of a sparse one."""
    stride = max(1, math.isqrt(depth.size // _SAMPLES))
    first = stride // 2
    grid = depth[first::stride, first::stride]
    rays = _grid_rays(camera, first, stride)
    z: npt.NDArray[np.float32] = grid.ravel()
    falling = rays @ -up.astype(np.float32) > min_slope
    below_horizon = int(np.count_nonzero(falling))
    if np.count_nonzero(valid(grid)) * 2 < grid.size and stride > 1:
        rows, columns = np.nonzero(valid(depth))
        every = slice(None, None, max(1, len(rows) // _SAMPLES))
        rows, columns = rows[every], columns[every]
        z = depth[rows, columns]
        x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
        rays = np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)
        falling = rays @ -up.astype(np.float32) > min_slope
    kept = falling & valid(z)
    looking_down = rays[kept]
    return _Samples(looking_down, looking_down * z[kept, None], below_horizon)


@functools.lru_cache(maxsize=8)
def _grid_rays(camera: PinholeCamera, first: int, stride: int) -> npt.NDArray[np.float32]:
    """Return the rays (N, 3), with z 1, of every ``stride``-th pixel from the ``first`` on, row by row."""
    rows, columns = np.arange(first, camera.height, stride), np.arange(first, camera.width, stride)
    rays = np.ones((rows.size, columns.size, 3), np.float32)
    rays[..., 0] = (columns - camera.cx) / camera.fx
    rays[..., 1] = ((rows - camera.cy) / camera.fy)[:, None]
    return rays.reshape(-1, 3)


def _residuals(samples: _Samples, q: Vector) -> npt.NDArray[np.float32]:
    """Return each point's height above the plane, as a share of the camera's."""
    return np.asarray(1 - samples.points @ q.astype(np.float32))


def _reach(spread: float) -> float:
    return min(_TOLERANCE, max(3 * spread, _FINEST))


@functools.lru_cache(maxsize=32)
def _triples(count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the pixels to propose planes by, (candidates, 3), and those to judge them by."""
    rng = np.random.default_rng(0)
    return rng.integers(0, count, (_CANDIDATES, 3)), rng.permutation(count)[:_SCORED]


def _propose(samples: _Samples, up: Vector, cosine: float) -> Vector | None:
    """Return the q that most points agree with, of planes through three points; None if none of them is level."""
    triples, judges = _triples(len(samples.points))
    a, b, c = samples.points[triples].astype(np.float64).transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = across / np.einsum("ij,ij->i", across, a)[:, None]
        level = -(q @ up) >= cosine * np.linalg.norm(q, axis=1)
    q = q[level & np.isfinite(q).all(axis=1)]
    if not len(q):
        return None
    misfit = np.abs(1 - samples.points[judges] @ q.T.astype(np.float32))
    score = np.minimum(misfit, _TOLERANCE).sum(axis=0)
    return np.asarray(q[int(score.argmin())], np.float64)


def _refine(samples: _Samples, q: Vector) -> tuple[Vector, float, npt.NDArray[np.float64]]:
    """Refine q by least squares with Tukey's weights; return it, the residuals' spread, and q's covariance."""
    reach = spread = _TOLERANCE
    points = samples.points.astype(np.float64)
    for _ in range(_ROUNDS):
        residual = 1 - points @ q
        weight = np.square(residual * (1 / (1.5 * reach)))
        np.maximum(np.subtract(1, weight, out=weight), 0, out=weight)
        np.square(weight, out=weight)
        weighted = points * weight[:, None]
        normal_matrix = weighted.T @ points
        # The smallest ridge that keeps a degenerate view solvable; it pulls towards the last round.
        ridged = normal_matrix + 1e-9 * np.trace(normal_matrix) * np.eye(3)
        step = np.linalg.solve(ridged, weighted.T @ residual)
        q = q + step
        near = np.sort(np.abs(residual[weight > 0]))
        spread = 1.4826 * float(near[near.size // 2]) if near.size else _TOLERANCE
        reach = _reach(spread)
        if np.abs(points @ step).max() < 1e-4:
            break
    # Samples within one patch share their error, so they count as one.
    repeated = max(1.0, _SAMPLES / _PATCHES)
    covariance = np.linalg.inv(ridged) * repeated
    return q, spread, covariance * max(spread, _FINEST) ** 2
