"""Quaternions and matrices against answers worked out by hand, and against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.rotation import quaternion, rotation_matrix


def test_the_optical_frames_quaternion() -> None:
    """x right, y down, z ahead in a frame of x ahead, y left, z up: REP 103's (-0.5, 0.5, -0.5, 0.5)."""
    rotation = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    np.testing.assert_allclose(quaternion(rotation), (-0.5, 0.5, -0.5, 0.5))


def test_a_quarter_turn_about_z() -> None:
    half = math.sqrt(0.5)
    np.testing.assert_allclose(rotation_matrix(0, 0, half, half) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_any_rotation_survives_the_way_through_a_quaternion() -> None:
    for values in np.random.default_rng(0).normal(size=(200, 4)):
        x, y, z, w = values / np.linalg.norm(values)
        rotation = rotation_matrix(x, y, z, w)
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        np.testing.assert_allclose(np.eye(3) + 2 * w * cross + 2 * cross @ cross, rotation, atol=1e-12)
        found = quaternion(rotation)
        assert found[3] >= 0
        np.testing.assert_allclose(found, np.array([x, y, z, w]) * (1 if w >= 0 else -1), atol=1e-9)


def test_a_quaternion_that_is_no_rotation_is_refused() -> None:
    with pytest.raises(InputError, match="length 1, got 0"):
        rotation_matrix(0.0, 0.0, 0.0, 0.0)
