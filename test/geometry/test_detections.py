"""Boxes of objects, from points whose place is known."""

from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.geometry.detections import robust_box

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
