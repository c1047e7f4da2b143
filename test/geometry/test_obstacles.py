"""Obstacles of scenes whose depth is worked out ray by ray: nothing of the ground, everything that stands on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.ground_plane import GroundPlane, fit_ground_plane, up_vector
from space_clip_ros.geometry.obstacles import ObstacleFinder, ObstacleLimits, Obstacles
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid

LIMITS = ObstacleLimits()
EXACT = GroundPlane((0.0, -1.0, 0.0), 1.65, 0.0, 900, 0.9, 0.0)


def found(
    scenes: Any,
    depth: np.ndarray,
    limits: ObstacleLimits = LIMITS,
    plane: GroundPlane = EXACT,
    grid: PixelGrid = EVERY_PIXEL,
) -> tuple[np.ndarray, Obstacles]:
    """Return which pixels of the grid are obstacles, and the rest."""
    obstacles = ObstacleFinder(grid.camera(scenes.CAMERA)).find(grid.nearest(depth), plane, limits)
    mask = np.zeros(grid.of(depth).shape, bool)
    mask.ravel()[obstacles.pixels] = True
    return mask, obstacles


def heights(scenes: Any, depth: np.ndarray, camera_height: float = 1.65) -> np.ndarray:
    """Return the height of every pixel above level ground, for a level camera."""
    v = np.arange(scenes.CAMERA.height)[:, None]
    return camera_height - depth * (v - scenes.CAMERA.cy) / scenes.CAMERA.fy


def test_flat_ground_has_no_obstacles(scenes: Any) -> None:
    mask, obstacles = found(scenes, scenes.street())
    assert not mask.any() and obstacles.points.shape == (0, 3)
    # Every column is seen through up to the range that was asked for, and nothing is unknown.
    x, _, z = obstacles.open_points.T
    np.testing.assert_allclose(np.hypot(x, z), 30.0, rtol=1e-3)
    columns = np.rint(x / z * scenes.CAMERA.fx + scenes.CAMERA.cx).astype(int)
    assert set(columns.tolist()) == set(range(scenes.CAMERA.width))
    assert obstacles.unknown_points.shape == (0, 3)


def test_a_box_is_found_from_its_least_height_up_to_the_highest(scenes: Any) -> None:
    depth = scenes.street(scenes.Box((-1, 1), (10, 11), (0, 3)))
    mask, obstacles = found(scenes, depth)
    front = np.abs(depth - 10) < 1e-4
    height = heights(scenes, depth)
    expected = front & (height > 0.2) & (height < 2.0)
    assert expected.sum() > 1000
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_allclose(obstacles.points[:, 2], 10, rtol=1e-5)
    np.testing.assert_allclose(1.65 - obstacles.points[:, 1], height[mask], atol=1e-5)


def test_limits_of_height_and_range(scenes: Any) -> None:
    low, far = scenes.Box((-1, 1), (10, 11), (0, 0.3)), scenes.Box((-0.5, 0.5), (25, 26), (0, 1.5))
    depth = scenes.street(low, far)
    assert found(scenes, depth)[1].points[:, 2].max() == pytest.approx(25, rel=1e-5)
    near_only = found(scenes, depth, replace(LIMITS, max_range=20.0))[1]
    assert near_only.points[:, 2].max() < 12
    higher_only = found(scenes, depth, replace(LIMITS, min_height=0.5))[1]
    assert higher_only.points[:, 2].min() > 20


def test_range_is_along_the_ground_and_not_along_the_optical_axis(scenes: Any) -> None:
    # 9 m to the left and 12 m ahead: 15 m away.
    depth = scenes.street(scenes.Box((-9.1, -8.9), (12, 12.2), (0, 1.5)))
    assert len(found(scenes, depth, replace(LIMITS, max_range=15.2))[1].points)
    assert not len(found(scenes, depth, replace(LIMITS, max_range=14.5))[1].points)


def test_sky_and_unknown_depth_are_never_obstacles_and_never_open(scenes: Any) -> None:
    nothing = np.full((scenes.CAMERA.height, scenes.CAMERA.width), np.nan, np.float32)
    mask, obstacles = found(scenes, nothing)
    assert not mask.any() and not len(obstacles.open_points)
    depth = scenes.street(scenes.CAR)
    mask, _ = found(scenes, depth)
    assert mask.any() and not mask[np.isnan(depth)].any()


def test_what_hangs_above_the_robot_does_not_stand_in_its_way(scenes: Any) -> None:
    bridge = scenes.Box((-20, 20), (10, 14), (2.2, 4))
    assert not found(scenes, scenes.street(bridge))[0].any()
    barrier = scenes.Box((-20, 20), (10, 10.2), (0.9, 1.1))
    assert found(scenes, scenes.street(barrier))[0].any()


@pytest.mark.parametrize("start", [8.0, 15.0, 25.0])
@pytest.mark.parametrize("slope", [-0.05, 0.05, 0.09])
def test_a_ramp_is_ground_and_a_car_on_it_is_not(scenes: Any, slope: float, start: float) -> None:
    """The plane is that of the level ground before the ramp, so only following the ground can tell."""
    ramp = scenes.Ground(slope, start)
    assert not found(scenes, scenes.street(ground=ramp))[0].any()
    foot = slope * 3
    car = scenes.Box((-1, 1), (start + 3, start + 5), (foot - 0.5, foot + 1.5))
    with_car = scenes.street(car, ground=ramp)
    mask, _ = found(scenes, with_car, replace(LIMITS, max_range=60.0))
    shown = np.abs(with_car - (start + 3)) < 1e-3
    high = heights(scenes, with_car) - foot
    assert mask[shown & (high > 0.4)].mean() > 0.95
    assert mask[~shown & (high < 0.1)].mean() < 0.001


def test_a_wall_that_is_too_steep_to_be_a_ramp_is_an_obstacle(scenes: Any) -> None:
    depth = scenes.street(ground=scenes.Ground(0.7, 10.0))
    mask, _ = found(scenes, depth)
    assert mask.any(axis=0).all()


def test_a_kerb_below_the_least_height_is_no_obstacle_and_the_pavement_is_ground(scenes: Any) -> None:
    pavement = scenes.Box((2, 30), (0, 80), (0, 0.15))
    post = scenes.Box((3, 3.3), (12, 12.3), (0.15, 1.2))
    depth = scenes.street(pavement, post)
    _, obstacles = found(scenes, depth)
    assert obstacles.points[:, 2].min() >= 12 and obstacles.points[:, 2].max() < 12.4
    # A robot that cannot climb it asks for less, and its edge becomes an obstacle.
    edge, _ = found(scenes, scenes.street(pavement), replace(LIMITS, min_height=0.05))
    assert edge.any()


def test_stairs_are_obstacles_although_each_step_is_low_and_level(scenes: Any) -> None:
    depth = scenes.street(*scenes.stairs(6.0))
    mask, obstacles = found(scenes, depth)
    assert mask.any(axis=0).all(), "in every direction"
    # From the second step on: the first is below the least height.
    assert obstacles.points[:, 2].min() < 6.0 + 3 * 0.29
    height = heights(scenes, depth)
    assert mask[(height > 0.5) & (height < 1.5) & (depth < 20)].mean() > 0.95


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (6, 0), (-3, 2), (25, 0)])
def test_a_tilted_camera_finds_the_same(scenes: Any, pitch: float, roll: float) -> None:
    scene = {"pitch_deg": pitch, "roll_deg": roll}
    plane = replace(EXACT, normal=up_vector(roll, pitch))
    assert not found(scenes, scenes.street(**scene), plane=plane)[0].any()
    box = scenes.Box((-0.5, 0.5), (4, 5), (0, 1))
    mask, obstacles = found(scenes, scenes.street(box, **scene), plane=plane)
    assert mask.any()
    above = 1.65 + obstacles.points @ np.asarray(plane.normal, np.float32)
    assert above.min() > 0.19 and above.max() < 1.01


@pytest.mark.parametrize("share", [0.03, 0.06])
def test_noise_of_the_ground_makes_no_obstacles(scenes: Any, share: float) -> None:
    """Depth is off by a share of itself over patches, as a network's is; the fitted plane knows how much."""
    depth = scenes.noisy(scenes.street(*scenes.HOUSES, scenes.CAR), share, patch=10)
    plane = fit_ground_plane(depth, scenes.CAMERA)
    assert isinstance(plane, GroundPlane)
    mask, _ = found(scenes, depth, plane=plane)
    truth = scenes.street(*scenes.HOUSES, scenes.CAR)
    height = heights(scenes, truth)
    assert mask[height < 0.01].mean() < 0.002
    assert mask[(height > 0.7) & (height < 1.4) & (truth < 15)].mean() > 0.95


def test_a_coarser_grid_finds_the_same(scenes: Any) -> None:
    depth, grid = scenes.street(scenes.CAR), PixelGrid(3, 3)
    whole, _ = found(scenes, depth)
    every_third, obstacles = found(scenes, depth, grid=grid)
    missed, more = whole[1::3, 1::3] & ~every_third, every_third & ~whole[1::3, 1::3]
    assert not missed.any()
    # One column beside each edge: a block is as near as its nearest pixel.
    assert more.sum() < 2 * every_third.any(axis=1).sum()
    row, column = np.divmod(obstacles.pixels, every_third.shape[1])
    np.testing.assert_array_equal(obstacles.points[:, 2], grid.nearest(depth)[row, column])
    x = (column * 3 + 1 - scenes.CAMERA.cx) / scenes.CAMERA.fx * obstacles.points[:, 2]
    np.testing.assert_allclose(obstacles.points[:, 0], x, atol=1e-5)


@pytest.mark.parametrize("offset", range(4))
def test_a_post_that_is_thinner_than_the_grid_is_not_lost(scenes: Any, offset: int) -> None:
    """One pixel wide, 10 m ahead, in any column of a block of four."""
    depth = scenes.street()
    column = 400 + offset
    post = (heights(scenes, np.full_like(depth, 10.0))[:, column] < 1.0) & ~(depth[:, column] < 10.0)
    depth[post, column] = 10.0
    mask, obstacles = found(scenes, depth, grid=PixelGrid(4, 4))
    assert mask.any(axis=0).nonzero()[0].tolist() == [100]
    assert (obstacles.points[:, 2] == 10.0).all() and len(obstacles.points) > 5


def test_a_finder_keeps_nothing_of_the_frame_before(scenes: Any) -> None:
    finder = ObstacleFinder(scenes.CAMERA)
    first = finder.find(scenes.street(scenes.CAR), EXACT, LIMITS)
    points = first.points.copy()
    finder.find(scenes.street(scenes.WALL), replace(EXACT, height_m=1.7), LIMITS)
    again = finder.find(scenes.street(scenes.CAR), EXACT, LIMITS)
    np.testing.assert_array_equal(again.points, points)
    np.testing.assert_array_equal(first.points, points)
    np.testing.assert_array_equal(again.open_points, first.open_points)


def test_ground_without_depth_is_unknown_only_within_the_range_and_where_the_camera_sees(scenes: Any) -> None:
    depth = scenes.street()
    depth[100:130, 200:220] = np.nan
    # Beyond the range, and the sky.
    depth[: int(scenes.CAMERA.cy + scenes.CAMERA.fy * 1.65 / 31)] = np.nan
    _, obstacles = found(scenes, depth)
    x, y, z = obstacles.unknown_points.T
    assert len(z) and z.max() < 30.5
    np.testing.assert_allclose(y, 1.65, rtol=1e-5)
    columns = np.rint(x / z * scenes.CAMERA.fx + scenes.CAMERA.cx)
    assert columns.min() == 200 and columns.max() == 219
    seen = np.ones(depth.shape, bool)
    seen[:, 200:220] = False
    assert not len(ObstacleFinder(scenes.CAMERA).find(depth, EXACT, LIMITS, seen=seen).unknown_points)


def test_doubtful_depth_is_neither_obstacle_nor_open(scenes: Any) -> None:
    everything = scenes.street(scenes.CAR)
    car = np.nan_to_num(everything) != np.nan_to_num(scenes.street())
    depth, doubtful = np.where(car, np.nan, everything), np.where(car, everything, np.nan)
    obstacles = ObstacleFinder(scenes.CAMERA).find(depth, EXACT, LIMITS, doubtful.astype(np.float32))
    assert not len(obstacles.points)
    assert (np.abs(obstacles.unknown_points[:, 2] - 8) < 1e-3).sum() > 100
    far = np.full_like(depth, 40.0)
    assert not len(ObstacleFinder(scenes.CAMERA).find(everything, EXACT, LIMITS, far).unknown_points)


def test_a_plane_of_uncertain_tilt_is_less_sure_the_further_away(scenes: Any) -> None:
    """A degree is 1 cm at 0.6 m: a low box there must be seen. At 10 m it is 17 cm, and the box is unknown."""
    plane = GroundPlane((0.0, -1.0, 0.0), 0.3, 0.009, 0, 0.0, 0.0, tilt_std=np.radians(1.0))
    near, far = scenes.Box((-5, 5), (0.6, 0.7), (0, 0.29)), scenes.Box((-5, 5), (10, 10.1), (0, 0.29))
    _, obstacles = found(scenes, scenes.street(near, height=0.3), plane=plane)
    assert obstacles.points[:, 2].min() == pytest.approx(0.6, rel=1e-4)
    _, obstacles = found(scenes, scenes.street(far, height=0.3), plane=plane)
    assert not len(obstacles.points)
    assert np.isclose(obstacles.unknown_points[:, 2], 10, rtol=1e-4).sum() > 100


@pytest.mark.parametrize("roll", [90, 180, -90])
def test_a_rolled_camera_follows_a_ramp_as_a_level_one_does(scenes: Any, roll: float) -> None:
    plane = replace(EXACT, normal=up_vector(roll, 0))
    ramp = scenes.street(ground=scenes.Ground(0.09, 8.0), roll_deg=roll)
    assert not found(scenes, ramp, replace(LIMITS, max_range=20.0), plane)[0].any()
    depth = scenes.street(scenes.Box((-1, 1), (10, 11), (0, 1.5)), roll_deg=roll)
    mask, obstacles = found(scenes, depth, plane=plane)
    assert mask.any()
    np.testing.assert_array_equal(np.sort(depth[mask]), np.sort(obstacles.points[:, 2]))
    above = 1.65 + obstacles.points @ np.asarray(plane.normal, np.float32)
    assert above.min() > 0.19 and above.max() < 1.51
    row, column = np.divmod(obstacles.pixels, depth.shape[1])
    x = (column - scenes.CAMERA.cx) / scenes.CAMERA.fx * obstacles.points[:, 2]
    y = (row - scenes.CAMERA.cy) / scenes.CAMERA.fy * obstacles.points[:, 2]
    np.testing.assert_allclose(obstacles.points[:, :2], np.stack([x, y], -1), atol=1e-4)
    assert len(obstacles.open_points)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_height": 0.0}, "min_height must be above 0 and below max_height"),
        ({"min_height": 3.0}, "got 3 and 2"),
        ({"max_range": 0.0}, "max_range must be above 0"),
        ({"max_slope": 0.6}, "max_slope must be from 0 to 0.5"),
    ],
)
def test_limits_that_make_no_sense_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(LIMITS, **change)


def test_maps_of_another_size_are_refused(scenes: Any) -> None:
    depth, finder = scenes.street(), ObstacleFinder(scenes.CAMERA)
    with pytest.raises(InputError, match="camera's shape"):
        finder.find(depth[:-1], EXACT, LIMITS)
    with pytest.raises(InputError, match="doubtful must have the camera's shape"):
        finder.find(depth, EXACT, LIMITS, depth[:, :-1])
