"""Boxes of objects, from points whose place is known."""

from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.geometry.detections import connected_regions, robust_box, visible_box
from space_clip_ros.geometry.ground_plane import LEVEL, GroundPlane

RANDOM = np.random.default_rng(0)


def side(count: int = 400) -> np.ndarray:
    """Return points on the rear of a car: 1.8 m wide, 1.2 m high, 10 m ahead, 2 m to the right."""
    x, y = RANDOM.uniform(1.1, 2.9, count), RANDOM.uniform(0.3, 1.5, count)
    return np.stack([x, y, RANDOM.normal(10.0, 0.1, count)], axis=1).astype(np.float32)


def test_the_box_of_what_is_seen() -> None:
    center, size = robust_box(side())
    np.testing.assert_allclose(center, (2.0, 0.9, 10.0), atol=0.05)
    np.testing.assert_allclose(size, (1.8 * 0.9, 1.2 * 0.9, 0.33), atol=0.1)


def test_what_lies_behind_does_not_move_it() -> None:
    car = side()
    behind = car[:160] * np.float32(3.0)
    alone, both = robust_box(car), robust_box(np.concatenate([car, behind]))
    np.testing.assert_allclose(both[0], alone[0], atol=0.1)
    np.testing.assert_allclose(both[1], alone[1], atol=0.15)


def test_flat_and_single_points_have_a_box_too() -> None:
    center, size = robust_box(np.array([[1.0, 2.0, 8.0]], np.float32))
    assert center == (1.0, 2.0, 8.0) and size == pytest.approx((0.01, 0.01, 0.01))


def test_points_without_depth_are_left_out_and_nothing_is_no_box() -> None:
    nan = np.full((3, 3), np.nan, np.float32)
    assert robust_box(nan) is None and robust_box(nan[:0]) is None
    car = side()
    assert robust_box(np.concatenate([nan, car])) == robust_box(car)


def test_connected_regions() -> None:
    mask = np.zeros((8, 12), bool)
    mask[2:6, 1:7] = mask[1:3, 9:11] = mask[0, 11] = True  # The last one touches the second at a corner.
    first, second = sorted(connected_regions(mask), key=lambda region: -region.area)
    assert (first.area, first.window) == (24, np.s_[2:6, 1:7]) and first.mask.all()
    assert (second.area, second.window) == (5, np.s_[0:3, 9:12])
    np.testing.assert_array_equal(second.mask, mask[0:3, 9:12])
    assert connected_regions(np.zeros_like(mask)) == []


def leaning(lean: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points of a person 1.7 m tall on the ground 10 m ahead, and his mask; depth grows by ``lean`` upwards."""
    v, u = np.mgrid[0:60:1, 0:30:1]
    rays = np.stack([(u - 14.5) / 300.0, (v - 10.0) / 300.0, np.ones_like(u)], axis=-1)
    depth = 10.0 * (1 + lean * (59 - v) / 59)
    mask = np.zeros((60, 30), bool)
    mask[8:, 8:22] = True
    return (rays * depth[..., None]).astype(np.float32), mask


def test_a_standing_thing_is_as_far_away_as_its_near_pixels() -> None:
    upright, mask = leaning(0.0)
    expected = visible_box(upright, mask, None)
    np.testing.assert_allclose(expected, robust_box(upright[mask]), atol=1e-5)
    for sky in (0.0, np.nan):
        points, _ = leaning(0.6)
        points[:12] += sky  # Some of the head may have no depth.
        center, size = visible_box(points, mask, None)
        # Counted from the foot, a fifth of a column's pixels are nearer than that.
        assert center[2] == pytest.approx(11.0, abs=0.1) and size[2] == pytest.approx(0.01)
        larger = center[2] / 10.0
        assert np.array(center) / larger == pytest.approx(expected[0], abs=0.1)
        assert np.array(size[:2]) / larger == pytest.approx(expected[1][:2], abs=0.15)
    assert robust_box(points[mask])[0][2] > 12.0


def test_a_wall_along_the_road_keeps_its_length() -> None:
    u = np.arange(40)
    depth = np.linspace(5.0, 20.0, 40)
    rays = np.stack([(u - 60.0) / 60.0, np.zeros(40), np.ones(40)], axis=-1)
    points = np.repeat((rays * depth[:, None])[None], 10, axis=0).astype(np.float32)
    _, size = visible_box(points, np.ones((10, 40), bool), None)
    assert size[2] == pytest.approx(15.0 * 0.9, rel=0.05)


def test_the_ground_itself_does_not_stand() -> None:
    v, u = np.mgrid[20:60, 0:30]
    rays = np.stack([(u - 14.5) / 60.0, (v - 10.0) / 60.0, np.ones_like(u)], axis=-1)
    road = (rays * (1.5 / rays[..., 1:2])).astype(np.float32)
    ground = GroundPlane(LEVEL, 1.5, 0.01, 100, 1.0, 0.01)
    mask = np.ones(road.shape[:2], bool)
    assert visible_box(road, mask, ground) == robust_box(road[mask])
    _, size = visible_box(road, mask, None)
    assert size[2] < 0.1 < robust_box(road[mask])[1][2]


def test_a_region_without_depth_has_no_box() -> None:
    points = np.full((4, 10, 3), np.nan, np.float32)
    assert visible_box(points, np.ones((4, 10), bool), None) is None
    points[0, :3] = (0.0, 0.0, 5.0)
    assert visible_box(points, np.ones((4, 10), bool), None) is None
    points[0, 3] = (0.0, 0.0, 5.0)  # the tenth of the pixels that must have depth
    assert visible_box(points, np.ones((4, 10), bool), None) is not None
