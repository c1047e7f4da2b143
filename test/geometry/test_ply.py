from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.ply import write_ply

POINTS = np.array([[1, 2, 3], [np.nan, 0, 0], [4, 5, np.inf], [-1.5, 1e-7, 80]], np.float32)
COLORS = np.array([[255, 0, 1], [9, 9, 9], [8, 8, 8], [10, 13, 26]], np.uint8)


def test_the_file_follows_the_ply_format(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    assert write_ply(path, POINTS[:1], COLORS[:1]) == 1
    header = (
        b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
        b"property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    )
    assert path.read_bytes() == header + np.array([1, 2, 3], "<f4").tobytes() + bytes([255, 0, 1])


def test_only_finite_points_are_written(tmp_path: Path, read_ply: Callable[[Path], Any]) -> None:
    path = tmp_path / "cloud.ply"
    assert write_ply(path, POINTS.reshape(2, 2, 3), COLORS.reshape(2, 2, 3)) == 2
    assert read_ply(path).tolist() == [(*map(float, POINTS[row]), *map(int, COLORS[row])) for row in (0, 3)]


def test_points_without_colours_and_empty_clouds(tmp_path: Path, read_ply: Callable[[Path], Any]) -> None:
    path = tmp_path / "cloud.ply"
    write_ply(path, POINTS)
    assert read_ply(path).dtype.names == ("x", "y", "z")
    assert write_ply(path, POINTS[1:3]) == 0
    assert read_ply(path).shape == (0,)


def test_rejects_shapes_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    for points, colors in (
        (POINTS[:, :2], None),
        (POINTS[0], None),
        (COLORS.astype(np.int32), None),
        (POINTS, COLORS[:3]),
        (POINTS, COLORS.astype(np.float32)),
    ):
        with pytest.raises(InputError):
            write_ply(path, points, colors)
    assert not path.exists()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_ply(tmp_path, POINTS)
