from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.ply import read_ply, write_ply

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


def test_finite_points_read_back_with_their_colours(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    assert write_ply(path, POINTS.reshape(2, 2, 3), COLORS.reshape(2, 2, 3)) == 2
    points, colors = read_ply(path)
    np.testing.assert_array_equal(points, POINTS[[0, 3]])
    assert colors is not None
    np.testing.assert_array_equal(colors, COLORS[[0, 3]])


def test_points_without_colours_and_empty_clouds(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    write_ply(path, POINTS)
    points, colors = read_ply(path)
    assert points.shape == (2, 3) and colors is None
    assert write_ply(path, POINTS[1:3]) == 0
    assert read_ply(path)[0].shape == (0, 3)


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


def test_rejects_files_that_are_damaged_missing_or_foreign(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    write_ply(path, POINTS, COLORS)
    data = path.read_bytes()
    for broken in (data[:-1], data + b"x", data.replace(b"little", b"middle"), b"", b"ply\n"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"cloud.ply: is not a whole"):
            read_ply(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_ply(tmp_path / "missing.ply")
    with pytest.raises(DataError, match="cannot be written"):
        write_ply(tmp_path, POINTS)
