"""Rotations against answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from space_clip_ros.geometry.rigid import euler, quaternion

HALF = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        ((0, 0, 0), (0, 0, 0, 1)),
        ((math.pi / 2, 0, 0), (HALF, 0, 0, HALF)),
        ((0, math.pi / 2, 0), (0, HALF, 0, HALF)),
        ((0, 0, math.pi / 2), (0, 0, HALF, HALF)),
        ((math.pi, 0, 0), (1, 0, 0, 0)),
        ((0, math.pi, 0), (0, 1, 0, 0)),
        ((0, 0, math.pi), (0, 0, 1, 0)),
    ],
)
def test_quarter_and_half_turns(angles: tuple[float, ...], expected: tuple[float, ...]) -> None:
    values = np.array(quaternion(euler(*angles)))
    np.testing.assert_allclose(values * np.sign(values @ expected), expected, atol=1e-12)


def test_euler_turns_yaw_last() -> None:
    """Pitched down a quarter turn about y, then yawed left a quarter turn: ahead points down, left points back."""
    rotation = euler(0, math.pi / 2, math.pi / 2)
    np.testing.assert_allclose(rotation @ [1, 0, 0], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(rotation @ [0, 1, 0], [-1, 0, 0], atol=1e-12)
