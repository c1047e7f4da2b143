"""Turns obstacles seen by a camera into a planar scan, as a laser scanner that turns in the ground's plane takes it.

A scan lies in a frame whose z points up (REP 103: x forward, y left), never in an optical one: angles count from x
towards y.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.ground_plane import GroundPlane
from space_clip_ros.geometry.obstacles import Obstacles

Pose = npt.NDArray[np.float64]

_DEGENERATE = 0.1
_BORDER = 33


@dataclass(frozen=True)
class PlanarScan:
    """Distances to the nearest obstacle, by bearing.

    Attributes:
        ranges: (n,) float32 metres to the nearest obstacle that is known; inf where the view is open up to
            ``range_max``, NaN where neither is known.
        angle_min: bearing of the first, radians from x towards y.
        angle_increment: from one to the next, radians.
        range_min: nearest distance that is reported, metres.
        range_max: furthest distance that is reported, metres.
        camera_pose: (4, 4) the camera's pose in the scan's frame.
        frame_id: the scan's frame; empty for the camera's own level frame.
        scan_time: seconds between two scans; 0 where unknown.
    """

    ranges: npt.NDArray[np.float32]
    angle_min: float
    angle_increment: float
    range_min: float
    range_max: float
    camera_pose: Pose
    frame_id: str = ""
    scan_time: float = 0.0

    @property
    def angle_max(self) -> float:
        """Bearing of the last, radians."""
        return self.angle_min + self.angle_increment * (len(self.ranges) - 1)


def level_pose(plane: GroundPlane) -> Pose:
    """Return the camera's pose, (4, 4), in the level frame: at the camera, z up from the ground, x where it looks.

    For a camera that looks straight down, x is where the picture's upper edge points.
    """
    up = np.asarray(plane.normal, np.float64)
    ahead = np.array([0.0, 0.0, 1.0])
    if np.linalg.norm(ahead - up * (ahead @ up)) < _DEGENERATE:
        ahead = np.array([0.0, -1.0, 0.0])
    forward = ahead - up * (ahead @ up)
    forward /= np.linalg.norm(forward)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([forward, np.cross(up, forward), up])
    return pose


def planar_scan(
    obstacles: Obstacles,
    camera: PinholeCamera,
    pose: Pose,
    *,
    range_max: float,
    range_min: float = 0.0,
    angle_increment: float = math.radians(0.5),
) -> PlanarScan:
    """Return the scan of what a camera sees.

    The bearings are those in which the camera's field of view lies, seen from the scan's origin: more than the field of
    view where the camera is beside or behind the origin. A bearing is free only if the camera sees through it up
    to the range and nothing in it is unknown. The increment is at least that of a pixel, because finer
    bearings would fall between pixels.

    Args:
        obstacles: what stands in the way, where the view is open, and where it is unknown.
        camera: the camera of the map that the obstacles are from.
        pose: (4, 4) its pose in the scan's frame, whose z points up.
        range_max: furthest distance, metres; anything further is free.
        range_min: nearest distance, metres; anything nearer is left out.
        angle_increment: from one bearing to the next, radians.

    Raises:
        InputError: a pose of another shape, or an increment or ranges that make no scan.
    """
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise InputError(f"pose must be (4, 4) and finite, got shape {pose.shape}")
    if not 0 < angle_increment < math.pi or not 0 <= range_min < range_max < math.inf:
        raise InputError(
            "a scan needs an angle_increment above 0 and range_min below range_max, "
            f"got {angle_increment:g}, {range_min:g} and {range_max:g}"
        )
    heading, first, last = _field_of_view(camera, pose[:3, :3])
    first, last = _seen_from(pose, heading, first, last, range_min)
    increment = max(angle_increment, 1 / camera.fx)
    count = round((last - first) / increment) + 1
    # Turned so that the camera looks along x: bearings then never wrap around within the field of view.
    cosine, sine = math.cos(heading), math.sin(heading)
    across = (np.array([[cosine, sine], [-sine, cosine]]) @ pose[:2]).astype(np.float32)

    def polar(points: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        x, y = across[:, :3] @ points.T + across[:, 3:]
        place = np.arctan2(y, x)
        place -= np.float32(first)
        place *= np.float32(1 / increment)
        square = np.square(x, out=x)
        square += np.square(y, out=y)
        place = np.rint(place, out=place).astype(np.intp)
        inside = (place >= 0) & (place < count) & (square >= np.float32(range_min**2))
        return place[inside], square[inside]

    ranges = np.full(count, np.nan, np.float32)
    ranges[polar(obstacles.open_points)[0]] = np.inf
    ranges[polar(obstacles.unknown_points)[0]] = np.nan
    nearest = np.full(count, np.inf, np.float32)
    np.minimum.at(nearest, *polar(obstacles.points))
    np.sqrt(nearest, out=nearest)
    hit = nearest <= np.float32(range_max)
    ranges[hit] = nearest[hit]
    return PlanarScan(ranges, heading + first, increment, range_min, range_max, pose)


def _field_of_view(camera: PinholeCamera, rotation: Pose) -> tuple[float, float, float]:
    """Return the heading in which a camera looks, and the first and last bearing of its view from there, radians."""
    ahead = rotation @ np.array([0.0, 0.0, 1.0])
    if math.hypot(ahead[0], ahead[1]) < _DEGENERATE:
        ahead = rotation @ np.array([0.0, -1.0, 0.0])
    heading = math.atan2(ahead[1], ahead[0])
    rays = _border(camera)
    x, y = (rays @ rotation.T)[:, :2].T
    bearing = np.arctan2(y, x) - heading
    bearing = (bearing + math.pi) % (2 * math.pi) - math.pi
    return heading, float(bearing.min()), float(bearing.max())


def _seen_from(pose: Pose, heading: float, first: float, last: float, range_min: float) -> tuple[float, float]:
    """Return the bearings, from the heading, of everything between two bearings of a camera that is off the origin.

    A point that the camera sees at a bearing lies between that bearing and the camera's own, the nearer the closer to
    the latter. If the origin itself is in view, points lie all around it.
    """
    off = math.hypot(pose[0, 3], pose[1, 3])
    if not off:
        return first, last
    place = (math.atan2(pose[1, 3], pose[0, 3]) - heading + math.pi) % (2 * math.pi) - math.pi
    back = place - math.copysign(math.pi, place)
    around = first <= back <= last
    # At range_min or further, the two bearings of a point never differ by more than this.
    most = math.asin(off / range_min) if off < range_min else math.pi
    lowest, highest = (-math.pi, math.pi) if around else (min(first, place), max(last, place))
    return max(lowest, first - most), min(highest, last + most)


def range_in_view(camera: PinholeCamera, plane: GroundPlane) -> float:
    """Return how far a camera sees the ground where it looks, metres along it; inf if the horizon is in view there."""
    heading, _, _ = _field_of_view(camera, level_pose(plane)[:3, :3])
    x, y, z = (_border(camera) @ level_pose(plane)[:3, :3].T).T
    # The border's points straight ahead: one at its near side, one at its far side.
    ahead = np.argsort(np.abs(np.arctan2(y, x) - heading))[:2]
    if z[ahead].max() >= 0:
        return math.inf
    return float((plane.height_m * np.hypot(x, y) / -z)[ahead].max())


@functools.lru_cache(maxsize=8)
def _border(camera: PinholeCamera) -> Pose:
    """Return rays (n, 3), with z 1, around a camera's picture."""
    u, v = np.linspace(0, camera.width - 1, _BORDER), np.linspace(0, camera.height - 1, _BORDER)
    border = np.concatenate(
        [np.stack(np.broadcast_arrays(u, row), -1) for row in (v[0], v[-1])]
        + [np.stack(np.broadcast_arrays(column, v), -1) for column in (u[0], u[-1])]
    )
    return np.column_stack(
        [(border[:, 0] - camera.cx) / camera.fx, (border[:, 1] - camera.cy) / camera.fy, np.ones(len(border))]
    )
