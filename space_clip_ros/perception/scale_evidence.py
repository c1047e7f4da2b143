"""What one frame says about the scale of its depth: the ground under the camera, and ranges that a sensor measured.

Evidence is the logarithm of the factor that depth should be multiplied by, with its variance. The variance is of the
scale of the whole view, not only of what was compared: how much the evidence disagrees with itself is part of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth, valid
from space_clip_ros.geometry.ground_plane import GroundPlane, NoGround, ground_pixels
from space_clip_ros.geometry.rigid import Matrix, moved
from space_clip_ros.perception.camera_mount import CameraMount

CAMERA_HEIGHT = "camera height"
POINTS = "points"
RANGE = "range"
RANGES = "ranges"
"""Neither points nor a range: nothing was measured."""

_FLOOR = 0.02
"""Standard deviation that no evidence goes below: depth is never wrong by one factor alone."""

# The ground.
_MOUNT_STD = math.radians(1.0)
"""Standard deviation of the camera's tilt against the road: suspension, slope, and how well the mount is known."""
_MOST_TILT_DEG = 3.0
"""Largest difference in pitch between the ground in the depth map and the mount."""
_LEAST_SHARE = 0.4
"""Share of the pixels below the mount's horizon that must be ground. Where the camera looks further up than the mount
says, walls and cars are there, and a network may still see level ground among them."""
_MIN_SLOPE, _MAX_SLOPE = 0.04, 0.5
"""Bands are between these slopes. A camera that looks down steeply sees none of them; its bands are those it sees."""
_BANDS = 8
_FEWEST_IN_BAND = 8
_MODEL_STD = 0.1
"""Standard deviation of a network's error over patches, as a share of depth; a smaller spread is luck."""
_CAUTION = 0.5
"""Standard deviations of the bands' disagreement to subtract: an error of scale is the same near and far."""
_DOUBT = (0.1, 0.2)
"""A correction below the first, in the logarithm, is left out; one above the second counts in full."""
_GROUND_LASTS_S = 5.0

# Ranges.
_NEAREST_M = 0.5
_RANGE_BANDS = (0.0, 5.0, 8.0, 12.0, 18.0, 27.0, 40.0)
"""Where bands of distance begin, metres."""
_FEWEST_IN_RANGE_BAND = 5
_FEWEST_RANGES = 12
_OUTLIER_SIGMAS = 3.0
_OUTLIER_LOGS = (0.3, math.log(2))
"""Ratios further from the median than three times their spread are left out, but none within the first of these
logarithms and all beyond the second: returns of the robot's own body, dust, and branches that the network misses."""
_LEAST_AGREEING = 0.6
"""Share of the ratios that must be left; otherwise the points do not show what the image shows."""
_MOST_POINTS = 20_000
_CELLS = 10
_RANGES_LAST_S = 0.5
_CONE_STD = 0.1
_CONE_STRIDE = 8
_CONE_LASTS_S = 1.0


@dataclass(frozen=True)
class Evidence:
    """What one frame says.

    Attributes:
        source: :data:`CAMERA_HEIGHT`, :data:`POINTS` or :data:`RANGE`.
        log_factor: natural logarithm of the factor on depth.
        variance: of that.
        lasts_s: for how long a frame's error stays the same, seconds: frames within this time count as one.
        tilt_deg: pitch of the ground in the depth map against the mount, degrees; NaN for other evidence.
    """

    source: str
    log_factor: float
    variance: float
    lasts_s: float
    tilt_deg: float = math.nan


@dataclass(frozen=True)
class NoEvidence:
    """Why a frame says nothing.

    Attributes:
        source: :data:`CAMERA_HEIGHT`, :data:`POINTS`, :data:`RANGE` or :data:`RANGES`.
        reason: a text for people.
        tilt_deg: as in :class:`Evidence`.
    """

    source: str
    reason: str
    tilt_deg: float = math.nan


@dataclass(frozen=True)
class MeasuredPoints:
    """Points that a LiDAR or depth camera measured.

    Attributes:
        points: (N, 3) x y z in the sensor's frame, metres; invalid ones may be NaN.
        to_camera: the sensor's pose in the camera's optical frame, (4, 4).
    """

    points: NDArray[np.floating]
    to_camera: Matrix


@dataclass(frozen=True)
class MeasuredCone:
    """The nearest thing in a cone, as an ultrasonic or infrared sensor measures it.

    Attributes:
        range_m: distance from the sensor, metres; not finite if nothing was measured.
        limits_m: smallest and largest distance that the sensor measures, metres.
        field_of_view: full angle of the cone about the sensor's x axis, radians.
        to_camera: the sensor's pose in the camera's optical frame, (4, 4).
    """

    range_m: float
    limits_m: tuple[float, float]
    field_of_view: float
    to_camera: Matrix


def ground_evidence(
    plane: GroundPlane, depth: Depth, camera: PinholeCamera, mount: CameraMount
) -> Evidence | NoEvidence:
    """Compare the ground in a depth map with where the camera's mount says that it is.

    A plane fitted to the depth map tells which pixels are ground. How far away the ground is in them follows from the
    mount: z = h / s for a ray that falls by s per metre forward. The fitted plane's own height would not do, because
    a network that draws the distance in also tilts its ground up, and the plane is then at the right height under the
    camera, and wrong everywhere else. Pixels are sorted into bands of distance, of equal width in its logarithm, so
    that the few pixels of the far ground count as much as the many of the near. A wrong tilt of the mount moves far
    bands more than near ones, so they weigh less. Where the bands disagree, less is corrected than their mean.

    Args:
        plane: the plane fitted to ``depth`` within 8 degrees of the mount's: roads are cambered, and that matters
            little.
        depth: (H, W) float32 metres, without the factor that is looked for.
        camera: its camera.
        mount: how the camera stands.

    Raises:
        InputError: the mount's height is not known.
    """
    if not mount.height_m:
        raise InputError("the camera's height above the ground must be above 0 metres, got 0")
    up = np.asarray(mount.up, np.float64)
    tilt = _pitch_deg(np.asarray(plane.normal)) - _pitch_deg(up)
    if plane.inlier_share < _LEAST_SHARE:
        return NoEvidence(CAMERA_HEIGHT, f"only {plane.inlier_share:.0%} of what looks down is level ground", tilt)
    if abs(tilt) > _MOST_TILT_DEG:
        return NoEvidence(CAMERA_HEIGHT, f"the ground in view is tilted by {tilt:+.1f} degrees", tilt)
    rays, z = ground_pixels(plane, depth, camera, _MIN_SLOPE)
    slope = -(rays @ up.astype(np.float32))
    ratio = np.log(mount.height_m / np.maximum(slope, _MIN_SLOPE) / z)
    bands = _bands(slope, ratio, (_MIN_SLOPE, _MAX_SLOPE))
    if len(bands) < 2 and slope.size:
        bands = _bands(slope, ratio, (max(float(slope.min()), _MIN_SLOPE), float(slope.max())))
    if len(bands) < 2:
        return NoEvidence(CAMERA_HEIGHT, NoGround.TOO_SHORT.value, tilt)
    slopes, logs = np.array(bands).T
    # The more the plane's pitch differs from the mount's, the less we trust either.
    tilt_errors = math.hypot(_MOUNT_STD, math.radians(tilt)) / slopes
    weights = np.exp(-logs) / (_MODEL_STD**2 + tilt_errors**2)
    weights /= weights.sum()
    mean = float(weights @ logs)
    disagreement = float(weights @ (logs - mean) ** 2)
    # Where the plane's own height says something else, either the mount's tilt is wrong or the depth is bent.
    bent = (math.log(mount.height_m / plane.height_m) - mean) / 2
    variance = float(weights @ tilt_errors) ** 2 + disagreement + bent**2 + _FLOOR**2
    agreed = math.copysign(_beyond_doubt(abs(mean) - _CAUTION * math.sqrt(disagreement)), mean)
    return Evidence(CAMERA_HEIGHT, agreed, variance, _GROUND_LASTS_S, tilt)


def _beyond_doubt(log_factor: float) -> float:
    """Return what is left of a correction: nothing of a small one, all of a large one, and a ramp between them.

    Also where the scale is right, a network's ground is off by some percent, and not by those of the rest.
    """
    low, high = _DOUBT
    return log_factor if log_factor >= high else max(0.0, high * (log_factor - low) / (high - low))


def range_evidence(depth: Depth, camera: PinholeCamera, measured: MeasuredPoints) -> Evidence | NoEvidence:
    """Compare depth with measured points in the pixels that they fall on; see :func:`compared_evidence`.

    Args:
        depth: (H, W) float32 metres, without the factor that is looked for.
        camera: its camera.
        measured: the points.
    """
    points = measured.points
    if len(points) > _MOST_POINTS:
        points = points[:: -(-len(points) // _MOST_POINTS)]
    x, y, z = moved(points, measured.to_camera).T
    with np.errstate(invalid="ignore", over="ignore"):
        ahead = z > _NEAREST_M
        x, y, z = x[ahead], y[ahead], z[ahead]
        u, v = np.rint(x / z * camera.fx + camera.cx), np.rint(y / z * camera.fy + camera.cy)
        inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height) & np.isfinite(z)
    if not inside.any():
        return NoEvidence(POINTS, "no measured point is in view; check the sensor's pose")
    return compared_evidence(depth, v[inside].astype(np.intp), u[inside].astype(np.intp), z[inside])


def compared_evidence(
    depth: Depth, rows: NDArray[np.intp], columns: NDArray[np.intp], truth: NDArray[np.floating]
) -> Evidence | NoEvidence:
    """Compare depth with true depth in some of its pixels.

    The factor f has the least mean of |f depth - truth| / truth: it is the median of truth / depth, each weighted by
    depth / truth. Too far is a larger error than too near, so where the ratios differ it lies below the plain median.
    By that weight a point that is measured far too near would count many times, so ratios far from the plain median
    are left out first, and none of the rest counts more than twice. Where near and far ask for different factors, it
    depends on how many pixels there happen to be of each, so the variance of the bands' mean is added to that of the
    patches.

    Args:
        depth: (H, W) float32 metres.
        rows: (N,) of the pixels.
        columns: (N,) of the pixels.
        truth: (N,) metres along the optical axis.
    """
    predicted = depth[rows, columns]
    known = valid(predicted) & (truth > 0)
    if np.count_nonzero(known) < _FEWEST_RANGES:
        return NoEvidence(POINTS, f"only {np.count_nonzero(known)} measured points fall on depth")
    rows, columns, truth = rows[known], columns[known], truth[known]
    ratio = np.log(truth / predicted[known])
    agreeing = _agreeing(ratio)
    share = float(agreeing.mean())
    if share < _LEAST_AGREEING:
        return NoEvidence(POINTS, f"only {share:.0%} of the measured points ask for about the same factor")
    rows, columns, truth, ratio = rows[agreeing], columns[agreeing], truth[agreeing], ratio[agreeing]
    median = _weighted_median(ratio, np.exp(np.median(ratio) - ratio))
    spread = 1.4826 * float(np.median(np.abs(ratio - median)))
    # A network's errors are the same over whole patches, so ranges in one patch count as one.
    height, width = depth.shape
    patches = np.unique(rows * _CELLS // height * _CELLS + columns * _CELLS // width).size
    variance = math.pi / 2 * max(spread, _MODEL_STD) ** 2 / patches + _disagreement(truth, ratio) + _FLOOR**2
    return Evidence(POINTS, median, variance, _RANGES_LAST_S)


def _agreeing(ratio: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which log ratios are not outliers: those near their median, relative to their spread."""
    apart = np.abs(ratio - np.median(ratio))
    reach = _OUTLIER_SIGMAS * 1.4826 * float(np.median(apart))
    return np.asarray(apart <= min(max(reach, _OUTLIER_LOGS[0]), _OUTLIER_LOGS[1]))


def _disagreement(truth: NDArray[np.floating], ratio: NDArray[np.floating]) -> float:
    """Return the variance of the mean over bands of distance of their median log ratios; 0 of a single band."""
    band = np.searchsorted(_RANGE_BANDS, truth)
    medians = [
        float(np.median(ratio[band == number]))
        for number in np.unique(band)
        if np.count_nonzero(band == number) >= _FEWEST_IN_RANGE_BAND
    ]
    return float(np.var(medians)) / len(medians) if medians else 0.0


def cone_evidence(depth: Depth, camera: PinholeCamera, measured: MeasuredCone) -> Evidence | NoEvidence:
    """Compare depth with the nearest thing in a cone.

    Each pixel in the cone would need the factor f that puts its point p at the measured distance from the sensor at o,
    |f p - o| = range. The nearest thing needs the largest; the 95th percentile of them forgives single pixels.

    Args:
        depth: (H, W) float32 metres, without the factor that is looked for.
        camera: its camera.
        measured: the range.
    """
    low, high = measured.limits_m
    distance = measured.range_m
    if not math.isfinite(distance) or not low < distance < high:
        return NoEvidence(RANGE, "the range sensor measures nothing within its limits")
    if math.isnan(measured.field_of_view):
        return NoEvidence(RANGE, "the range sensor's field_of_view is not a number")
    origin, axis = measured.to_camera[:3, 3], measured.to_camera[:3, 0]
    center = origin + distance * axis
    if center[2] < _NEAREST_M / 5:
        return NoEvidence(RANGE, "the range sensor does not look to where the camera looks")
    rows, columns = _pixels_in_cone(camera, origin, axis, distance, measured.field_of_view)
    if not rows.size:
        return NoEvidence(RANGE, "the range sensor's cone is not wholly in view")
    z = depth[rows, columns]
    known = valid(z)
    if np.count_nonzero(known) * 2 < known.size:
        return NoEvidence(RANGE, "most of the range sensor's cone has no depth")
    points = _rays(camera, rows[known], columns[known]) * z[known, None].astype(np.float64)
    along, square = points @ origin, np.einsum("ij,ij->i", points, points)
    root = along**2 - square * (origin @ origin - distance**2)
    factors = (along + np.sqrt(np.maximum(root, 0.0))) / square
    factor = float(np.percentile(factors[root > 0], 95)) if (root > 0).any() else 0.0
    if factor <= 0:
        return NoEvidence(RANGE, "nothing in the range sensor's cone can be at its range")
    return Evidence(RANGE, math.log(factor), _CONE_STD**2, _CONE_LASTS_S)


def _pitch_deg(up: NDArray[np.float64]) -> float:
    """Return how far a camera with this direction up looks down, degrees."""
    return -math.degrees(math.asin(max(-1.0, min(1.0, float(up[2])))))


def _bands(
    slope: NDArray[np.float32], logs: NDArray[np.float32], limits: tuple[float, float]
) -> Sequence[tuple[float, float]]:
    """Return slope and median log ratio of each band of distance between two slopes that has enough pixels."""
    edges = np.geomspace(*limits, _BANDS + 1)
    medians = []
    for low, high in itertools.pairwise(edges):
        inside = (slope >= low) & (slope < high)
        if np.count_nonzero(inside) >= _FEWEST_IN_BAND:
            medians.append((float(np.median(slope[inside])), float(np.median(logs[inside]))))
    return medians


def _weighted_median(values: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[int(np.searchsorted(total, total[-1] / 2))]])


def _rays(camera: PinholeCamera, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def _pixels_in_cone(
    camera: PinholeCamera, origin: NDArray[np.float64], axis: NDArray[np.float64], distance: float, angle: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of pixels inside the cone's end, on a grid; none if part of it is out of view."""
    half = max(angle, 0.0) / 2
    center = origin + distance * axis
    radius = distance * math.tan(min(half, 1.4))
    column, row = center[0] / center[2] * camera.fx + camera.cx, center[1] / center[2] * camera.fy + camera.cy
    across, down = radius / center[2] * camera.fx, radius / center[2] * camera.fy
    left, right, top, bottom = column - across, column + across, row - down, row + down
    if left < -0.5 or top < -0.5 or right > camera.width - 0.5 or bottom > camera.height - 0.5:
        nothing = np.empty(0, np.intp)
        return nothing, nothing
    step = max(1, min(_CONE_STRIDE, int(min(across, down) / 4)))
    v, u = np.mgrid[math.ceil(top) : math.floor(bottom) + 1 : step, math.ceil(left) : math.floor(right) + 1 : step]
    rows, columns = v.ravel(), u.ravel()
    inside = ((rows - row) / max(down, 1.0)) ** 2 + ((columns - column) / max(across, 1.0)) ** 2 <= 1
    nearest = (
        np.array([min(max(round(row), 0), camera.height - 1)]),
        np.array([min(max(round(column), 0), camera.width - 1)]),
    )
    return np.append(rows[inside], nearest[0]), np.append(columns[inside], nearest[1])
