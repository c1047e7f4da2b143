"""Scans worked out by hand: bearings, distances, what is free and what is unknown."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.ground_plane import GroundPlane, up_vector
from space_clip_ros.geometry.obstacles import ObstacleFinder, ObstacleLimits, Obstacles
from space_clip_ros.geometry.planar_scan import PlanarScan, level_pose, planar_scan, range_in_view

PLANE = GroundPlane((0.0, -1.0, 0.0), 1.65, 0.0, 900, 0.9, 0.0)
LIMITS = ObstacleLimits()
# x ahead, y left, z up, of a camera that looks along x.
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def posed(yaw: float = 0.0, place: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Return the pose of a level camera that looks ``yaw`` radians to the left of x."""
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn @ OPTICAL, place
    return pose


def points(*xyz: tuple[float, float, float]) -> np.ndarray:
    return np.array(xyz, np.float32).reshape(-1, 3)


def scanned(scenes: Any, depth: np.ndarray, pose: np.ndarray | None = None, **options: Any) -> PlanarScan:
    obstacles = ObstacleFinder(scenes.CAMERA).find(depth, PLANE, LIMITS)
    options = {"range_max": LIMITS.max_range, **options}
    return planar_scan(obstacles, scenes.CAMERA, level_pose(PLANE) if pose is None else pose, **options)


def at(scan: PlanarScan, bearing: float) -> float:
    """Return the range at a bearing, radians."""
    return float(scan.ranges[round((bearing - scan.angle_min) / scan.angle_increment)])


@pytest.mark.parametrize(("roll", "pitch"), [(0, 0), (0, 20), (5, -3)])
def test_the_level_frame_has_z_up_and_x_where_the_camera_looks(roll: float, pitch: float) -> None:
    pose = level_pose(replace(PLANE, normal=up_vector(roll, pitch)))
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(pose[:3, :3] @ up_vector(roll, pitch), (0, 0, 1), atol=1e-12)
    ahead = pose[:3, :3] @ [0, 0, 1]
    np.testing.assert_allclose(ahead, (math.cos(math.radians(pitch)), 0, -math.sin(math.radians(pitch))), atol=1e-12)


def test_a_level_camera_has_rep_103s_axes() -> None:
    np.testing.assert_allclose(level_pose(PLANE)[:3, :3], OPTICAL, atol=1e-12)


def test_a_camera_that_looks_straight_down_takes_the_pictures_upper_edge_for_ahead() -> None:
    pose = level_pose(replace(PLANE, normal=(0.0, 0.0, -1.0)))
    np.testing.assert_allclose(pose[:3, :3] @ [0, -1, 0], (1, 0, 0), atol=1e-12)


def test_bearings_and_distances_by_hand(scenes: Any) -> None:
    # In the optical frame: straight ahead at 4 m; 3 m right and 4 m ahead, so 5 m away; the same ground point open.
    obstacles = Obstacles(points((0, 0, 4), (0, 0.5, 9), (3, -1, 4)), np.arange(3), points((-3, 1.65, 4)))
    scan = planar_scan(obstacles, scenes.CAMERA, posed(), range_max=10.0, range_min=0.5)
    assert at(scan, 0.0) == pytest.approx(4.0)
    assert at(scan, -math.atan2(3, 4)) == pytest.approx(5.0)
    assert at(scan, math.atan2(3, 4)) == math.inf
    assert np.isnan(scan.ranges).sum() == len(scan.ranges) - 3
    assert (scan.range_min, scan.range_max) == (0.5, 10.0)


def test_the_angles_are_the_field_of_view(scenes: Any) -> None:
    scan = scanned(scenes, scenes.street(), angle_increment=0.01)
    camera = scenes.CAMERA
    left, right = math.atan(camera.cx / camera.fx), math.atan((camera.width - 1 - camera.cx) / camera.fx)
    assert scan.angle_min == pytest.approx(-right, abs=1e-6)
    assert scan.angle_max == pytest.approx(left, abs=0.01)
    assert len(scan.ranges) == round((left + right) / 0.01) + 1


def test_a_street(scenes: Any) -> None:
    scan = scanned(scenes, scenes.street(*scenes.HOUSES, scenes.CAR))
    # The car's front is 8 m ahead, 1.5 to 3.3 m to the right.
    bearing = -math.atan2(2.4, 8)
    assert at(scan, bearing) == pytest.approx(8 / math.cos(bearing), rel=0.01)
    # The houses on the left begin 8 m to that side.
    assert at(scan, math.radians(30)) == pytest.approx(8 / math.sin(math.radians(30)), rel=0.02)
    assert at(scan, 0.0) == math.inf
    assert not np.isnan(scan.ranges).any()


def test_nothing_is_known_where_nothing_is_seen(scenes: Any) -> None:
    depth = scenes.street()
    depth[:, 300:] = np.nan
    scan = scanned(scenes, depth)
    assert np.isnan(at(scan, -0.2)) and at(scan, 0.2) == math.inf


def test_a_strip_of_ground_before_something_unknown_is_not_free(scenes: Any) -> None:
    """A wall from side to side without depth: nothing is known beyond the floor in front of it."""
    depth = scenes.street(scenes.WALL)
    depth[np.abs(depth - 5) < 1e-3] = np.nan
    assert np.isnan(scanned(scenes, depth).ranges).all()


def test_what_is_seen_through_above_something_unknown_is_not_free(scenes: Any) -> None:
    depth = scenes.street(scenes.Box((-1, 1), (8, 9), (0, 1.2)))
    box = np.nan_to_num(depth) != np.nan_to_num(scenes.street())
    assert at(scanned(scenes, depth), 0.0) == pytest.approx(8.0, rel=1e-3)
    depth[box] = np.nan
    scan = scanned(scenes, depth)
    assert np.isnan(at(scan, 0.0)) and at(scan, 0.3) == math.inf


def test_a_view_that_ends_before_the_range_is_not_free(scenes: Any) -> None:
    """A camera that looks down sees the ground only so far."""
    plane = replace(PLANE, normal=up_vector(0, 30), height_m=0.5)
    depth, camera = scenes.street(height=0.5, pitch_deg=30), scenes.CAMERA
    end = range_in_view(camera, plane)
    assert end == pytest.approx(0.5 / math.tan(math.radians(30) - math.atan(camera.cy / camera.fy)), rel=1e-3)
    for reach, free in ((end * 1.1, False), (end * 0.8, True)):
        obstacles = ObstacleFinder(camera).find(depth, plane, replace(LIMITS, max_range=reach))
        ranges = planar_scan(obstacles, camera, level_pose(plane), range_max=reach).ranges
        middle = float(ranges[len(ranges) // 2])
        assert middle == math.inf if free else math.isnan(middle)
    assert range_in_view(camera, PLANE) == math.inf


def test_what_is_nearer_than_range_min_is_left_out_and_what_is_further_than_range_max_is_free(scenes: Any) -> None:
    obstacles = Obstacles(points((0, 0, 1), (1, 0, 20)), np.arange(2), points((0, 1.65, 6), (1, 1.65, 20)))
    scan = planar_scan(obstacles, scenes.CAMERA, posed(), range_min=2.0, range_max=10.0)
    assert at(scan, 0.0) == math.inf
    assert at(scan, -math.atan2(1, 20)) == math.inf


def test_the_scan_of_a_camera_that_looks_back_does_not_wrap_around(scenes: Any) -> None:
    depth = scenes.street(scenes.CAR)
    ahead, back = scanned(scenes, depth, posed()), scanned(scenes, depth, posed(math.pi))
    np.testing.assert_allclose(back.ranges, ahead.ranges, rtol=1e-4)
    assert back.angle_min == pytest.approx(ahead.angle_min + math.pi)


def test_distances_are_from_the_scans_own_frame(scenes: Any) -> None:
    """The camera is 1 m ahead of base_link and 0.5 m to its left, and looks along x."""
    obstacles = Obstacles(points((0.5, 0, 4)), np.arange(1), points())
    scan = planar_scan(obstacles, scenes.CAMERA, posed(place=(1.0, 0.5, 1.2)), range_max=10.0)
    assert at(scan, 0.0) == pytest.approx(5.0)


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.0, 0.15), (0.0, -0.3), (-0.2, 0.0), (-0.4, 0.1), (0.3, 0.3)])
def test_whatever_the_camera_sees_is_in_the_scan_of_a_frame_beside_it(scenes: Any, place: tuple[float, float]) -> None:
    """Posts at both edges of the view, 1 m ahead of the camera: from another origin their bearings are wider."""
    camera, pose = scenes.CAMERA, posed(0.4, (*place, 0.5))
    edges = [((u - camera.cx) / camera.fx, 0.0, 1.0) for u in (0, camera.width - 1)]
    obstacles = Obstacles(points(*edges), np.arange(2), points())
    scan = planar_scan(obstacles, camera, pose, range_max=10.0, range_min=0.1)
    x, y, _ = (np.array(edges) @ pose[:3, :3].T + pose[:3, 3]).T
    for distance, bearing in zip(np.hypot(x, y), np.arctan2(y, x), strict=True):
        turned = (bearing - scan.angle_min) % (2 * math.pi)
        assert scan.ranges[round(turned / scan.angle_increment)] == pytest.approx(distance, rel=1e-5)


def test_a_camera_ahead_of_the_origin_needs_no_more_bearings(scenes: Any) -> None:
    obstacles = Obstacles(points(), np.arange(0), points())
    at_origin = planar_scan(obstacles, scenes.CAMERA, posed(), range_max=10.0, range_min=0.1)
    ahead = planar_scan(obstacles, scenes.CAMERA, posed(place=(0.5, 0, 1)), range_max=10.0, range_min=0.1)
    # A millimetre behind it hardly any.
    behind = planar_scan(obstacles, scenes.CAMERA, posed(place=(-0.001, 0, 1)), range_max=10.0, range_min=0.1)
    assert len(at_origin.ranges) == len(ahead.ranges) and len(behind.ranges) <= len(ahead.ranges) + 3


def test_a_tilted_camera_sees_the_same_scan(scenes: Any) -> None:
    expected = scanned(scenes, scenes.street(scenes.CAR))
    plane = replace(PLANE, normal=up_vector(3, 8))
    depth = scenes.street(scenes.CAR, roll_deg=3, pitch_deg=8)
    obstacles = ObstacleFinder(scenes.CAMERA).find(depth, plane, LIMITS)
    scan = planar_scan(obstacles, scenes.CAMERA, level_pose(plane), range_max=30.0)
    for bearing in np.linspace(-0.35, -0.2, 12).tolist():
        assert at(scan, bearing) == pytest.approx(at(expected, bearing), rel=0.01)
    assert at(scan, 0.1) == math.inf


def test_the_increment_is_never_finer_than_the_pixels(scenes: Any) -> None:
    scan = scanned(scenes, scenes.street(), angle_increment=1e-4)
    assert scan.angle_increment == pytest.approx(1 / scenes.CAMERA.fx)
    assert not np.isnan(scan.ranges).any()


@pytest.mark.parametrize(
    ("pose", "options", "message"),
    [
        (np.eye(3), {}, r"pose must be \(4, 4\)"),
        (np.full((4, 4), np.nan), {}, "finite"),
        (np.eye(4), {"angle_increment": 0.0}, "angle_increment above 0"),
        (np.eye(4), {"range_min": 40.0}, "range_min below range_max"),
    ],
)
def test_what_makes_no_scan_is_refused(scenes: Any, pose: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        scanned(scenes, scenes.street(), pose, **options)
