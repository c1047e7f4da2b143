"""The scan from above: free, blocked and unknown are told apart, in their places."""

from __future__ import annotations

import math

import numpy as np
import pytest

from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.tools.reporting.scan_picture import scan_picture

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
