"""Rotations against answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from space_clip_ros.geometry.rigid import euler
from space_clip_ros.tools.bags.transforms import quaternion

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
    found = np.array(quaternion(euler(*angles)))
    np.testing.assert_allclose(found * np.sign(found @ expected), expected, atol=1e-12)


def test_the_optical_frames_quaternion() -> None:
    """x right, y down, z ahead in a frame of x ahead, y left, z up: REP 103's (-0.5, 0.5, -0.5, 0.5)."""
    rotation = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    np.testing.assert_allclose(quaternion(rotation), (-0.5, 0.5, -0.5, 0.5))


def test_euler_turns_yaw_last() -> None:
    """Pitched down a quarter turn about y, then yawed left a quarter turn: ahead points down, left points back."""
    rotation = euler(0, math.pi / 2, math.pi / 2)
    np.testing.assert_allclose(rotation @ [1, 0, 0], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(rotation @ [0, 1, 0], [-1, 0, 0], atol=1e-12)


def test_any_rotation_survives_the_way_through_a_quaternion() -> None:
    for roll, pitch, yaw in np.random.default_rng(0).uniform(-math.pi, math.pi, (200, 3)):
        rotation = euler(roll, pitch, yaw)
        x, y, z, w = quaternion(rotation)
        assert math.isclose(x * x + y * y + z * z + w * w, 1.0)
        assert w >= 0
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        np.testing.assert_allclose(np.eye(3) + 2 * w * cross + 2 * cross @ cross, rotation, atol=1e-12)
