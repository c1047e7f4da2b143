from __future__ import annotations

import math

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.rigid import euler, moved, pose_from_angles, pose_from_quaternion, quaternion


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    pose = pose_from_angles((1.0, 2.0, 3.0, 0.0, 0.0, math.pi / 2))
    np.testing.assert_allclose(
        moved(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]]), pose), [[1, 3, 3], [1, 2, 8]], atol=1e-6
    )


def test_a_sensor_with_ros_axes_in_an_optical_frame() -> None:
    # x forward becomes z, y left becomes -x, z up becomes -y.
    pose = pose_from_angles((0.0, 0.0, 0.0, math.pi / 2, -math.pi / 2, 0.0))
    np.testing.assert_allclose(moved(np.array([[10.0, 2.0, 1.0]]), pose), [[-2, -1, 10]], atol=1e-5)


def test_angles_and_quaternions_agree() -> None:
    roll, pitch, yaw = 0.3, -0.7, 2.1
    half = [(math.sin(angle / 2), math.cos(angle / 2)) for angle in (roll, pitch, yaw)]
    (sr, cr), (sp, cp), (sy, cy) = half
    turn = (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )
    from_quaternion = pose_from_quaternion((1, 2, 3), [2 * value for value in turn])
    np.testing.assert_allclose(from_quaternion, pose_from_angles((1, 2, 3, roll, pitch, yaw)), atol=1e-12)
    np.testing.assert_allclose(euler(roll, pitch, yaw) @ euler(roll, pitch, yaw).T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("values", [(1.0,) * 5, (0.0, 0.0, 0.0, 0.0, math.nan, 0.0)])
def test_a_pose_needs_six_finite_numbers(values: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="six finite numbers"):
        pose_from_angles(values)


@pytest.mark.parametrize(
    ("position", "turn"),
    [((0, 0, 0), (0, 0, 0, 0)), ((0, math.inf, 0), (0, 0, 0, 1)), ((0, 0, 0), (0, 0, math.nan, 1))],
)
def test_a_transform_without_a_rotation_is_refused(position: tuple[float, ...], turn: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="unit quaternion"):
        pose_from_quaternion(position, turn)


def test_the_optical_frames_quaternion() -> None:
    """x right, y down, z ahead in a frame of x ahead, y left, z up: REP 103's (-0.5, 0.5, -0.5, 0.5)."""
    rotation = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    np.testing.assert_allclose(quaternion(rotation), (-0.5, 0.5, -0.5, 0.5))


def test_any_rotation_survives_the_way_through_a_quaternion() -> None:
    for values in np.random.default_rng(0).normal(size=(200, 4)):
        unit = values / np.linalg.norm(values)
        result = quaternion(pose_from_quaternion((0, 0, 0), unit)[:3, :3])
        assert result[3] >= 0
        np.testing.assert_allclose(result, unit * (1 if unit[3] >= 0 else -1), atol=1e-9)
