"""Rotations as matrices and as quaternions."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError

Matrix = npt.NDArray[np.float64]


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
        found = [*(part / (4 * value) for part in axis), value]
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        found = [0.0] * 4
        found[i] = value
        found[j] = (rotation[j, i] + rotation[i, j]) / (4 * value)
        found[k] = (rotation[k, i] + rotation[i, k]) / (4 * value)
        found[3] = (rotation[k, j] - rotation[j, k]) / (4 * value)
    unit = np.array(found) / np.linalg.norm(found)
    x, y, z, w = (unit if unit[3] >= 0 else -unit).tolist()
    return x, y, z, w


def rotation_matrix(x: float, y: float, z: float, w: float) -> Matrix:
    """Return the rotation of a quaternion, (3, 3) float64.

    Raises:
        InputError: its length is not 1 within 1 %.
    """
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not abs(length - 1) < 0.01:
        raise InputError(f"a rotation's quaternion must have length 1, got {length:g}")
    x, y, z, w = (value / length for value in (x, y, z, w))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
