"""The scan from above: free, blocked and unknown are told apart, in their places."""

from __future__ import annotations

import math

import numpy as np
import pytest

from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages.semantics import NamedBox
from space_clip_ros.tools.reporting.scan_picture import boxes_picture, scan_picture

GREEN, RED, DARK = (28, 74, 54), (255, 96, 64), (24, 26, 30)


def scan(angle_min: float, *ranges: float) -> PlanarScan:
    return PlanarScan(np.array(ranges, np.float32), angle_min, 0.2, 0.1, 20.0, np.eye(4))


def color(picture: np.ndarray, bearing: float, distance: float) -> tuple[int, ...]:
    """Return a pixel's colour: straight ahead is up, 20 m are 184 pixels, and the eye is 8 pixels above the edge."""
    x = 150 - math.sin(bearing) * distance * 184 / 20
    y = 192 - math.cos(bearing) * distance * 184 / 20
    return tuple(int(value) for value in picture[round(y), round(x)])


@pytest.mark.parametrize("heading", [0.0, math.pi])
def test_free_blocked_and_unknown(heading: float) -> None:
    picture = scan_picture(scan(heading - 0.4, math.inf, 8.0, 12.0, math.nan, math.inf), 300, 200)
    assert picture.shape == (200, 300, 3) and picture.dtype == np.uint8
    # To the right: free as far as the scan reaches.
    assert color(picture, -0.4, 7.0) == color(picture, -0.4, 17.0) == GREEN
    # Ahead: free up to the obstacle, and unknown behind it.
    assert color(picture, 0.0, 7.0) == GREEN
    assert color(picture, 0.0, 12.0) == RED
    assert color(picture, 0.0, 16.0) == DARK
    assert color(picture, -0.2, 8.0) == RED
    # To the left nothing is known, and further left all is free.
    assert color(picture, 0.2, 7.0) == DARK
    assert color(picture, 0.4, 7.0) == GREEN


def test_boxes_lie_where_they_are_seen_from_above():
    car = NamedBox("car 90%, 10.0 m", (-4.0, 0.5, 10.0), (2.0, 1.5, 4.0), (1.0, 0.0, 0.0))
    far = NamedBox("car 60%, 50.0 m", (0.0, 0.5, 50.0), (2.0, 1.5, 4.0), (0.0, 0.0, 1.0))
    picture = boxes_picture([car, far], 300, 200, range_m=20.0)
    assert picture.shape == (200, 300, 3)
    red = np.argwhere((picture == (255, 0, 0)).all(axis=2))
    # 9.2 pixels a metre: 10 m ahead and 4 m to the left of the eye at (150, 192), 4 m long and 2 m wide.
    np.testing.assert_allclose((red.min(axis=0) + red.max(axis=0)) / 2, [192 - 92, 150 - 36.8], atol=1.0)
    np.testing.assert_allclose(red.max(axis=0) - red.min(axis=0), [36.8, 18.4], atol=1.5)
    assert not (picture == (0, 0, 255)).all(axis=2).any(), "beyond the picture's range"
    assert (picture == boxes_picture([], 300, 200, range_m=20.0)).mean() > 0.95
