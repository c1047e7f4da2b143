"""Rigid transforms: poses as (4, 4) matrices, from angles or quaternions, and points moved by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError

Matrix = npt.NDArray[np.float64]


def euler(roll: float, pitch: float, yaw: float) -> Matrix:
    """Return the rotation Rz(yaw) Ry(pitch) Rx(roll), (3, 3) float64; angles in radians."""
    (sr, sp, sy), (cr, cp, cy) = np.sin([roll, pitch, yaw]), np.cos([roll, pitch, yaw])
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def pose_from_angles(values: Sequence[float]) -> Matrix:
    """Return the pose x y z roll pitch yaw (metres, radians) as a (4, 4) float64 matrix, child to parent.

    Raises:
        InputError: not six finite numbers.
    """
    if len(values) != 6 or not all(math.isfinite(value) for value in values):
        raise InputError(f"a pose is x y z roll pitch yaw, six finite numbers, got {list(values)}")
    pose = np.eye(4)
    pose[:3, :3] = euler(*values[3:])
    pose[:3, 3] = values[:3]
    return pose


def pose_from_quaternion(position: Sequence[float], quaternion: Sequence[float]) -> Matrix:
    """Return the pose of a position (metres) and a quaternion x y z w as a (4, 4) float64 matrix, child to parent.

    Raises:
        InputError: numbers that are not finite, or a quaternion of length 0.
    """
    x, y, z, w = quaternion
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not math.isfinite(length) or length < 1e-6 or not all(math.isfinite(value) for value in position):
        raise InputError(f"a transform needs a position and a unit quaternion, got {position} and {quaternion}")
    x, y, z, w = x / length, y / length, z / length, w / length
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = list(position)
    return pose


def quaternion(rotation: Matrix) -> tuple[float, float, float, float]:
    """Return a rotation matrix, (3, 3), as a unit quaternion x, y, z, w with w >= 0 (Shepperd, 1978).

    The largest component is computed from the diagonal and the others are divided by it, so nothing is divided by a
    small number.
    """
    trace = float(np.trace(rotation))
    squares = [*(float(1 + 2 * rotation[axis, axis] - trace) for axis in range(3)), 1 + trace]
    largest = int(np.argmax(squares))
    value = math.sqrt(squares[largest]) / 2
    if largest == 3:
        axis = [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
        parts = [*(part / (4 * value) for part in axis), value]
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        parts = [0.0] * 4
        parts[i] = value
        parts[j] = (rotation[j, i] + rotation[i, j]) / (4 * value)
        parts[k] = (rotation[k, i] + rotation[i, k]) / (4 * value)
        parts[3] = (rotation[k, j] - rotation[j, k]) / (4 * value)
    unit = np.array(parts) / np.linalg.norm(parts)
    x, y, z, w = (unit if unit[3] >= 0 else -unit).tolist()
    return x, y, z, w


def moved(points: npt.NDArray[np.floating], pose: Matrix) -> npt.NDArray[np.float32]:
    """Return (N, 3) points of the child frame in the parent frame, float32."""
    rotation, translation = pose[:3, :3].astype(np.float32), pose[:3, 3].astype(np.float32)
    return np.asarray(points.astype(np.float32, copy=False) @ rotation.T + translation, np.float32)
