from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.kitti_calibration import read_calibration, read_calibration_file
from space_clip_ros.errors import DataError

CAMERAS = """calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
S_rect_02: 8.000000e+00 6.000000e+00
R_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 4 0 3.5 2 0 4 2.5 0 0 0 1 0.5
"""
# The scanner's x is the camera's z, y its -x, z its -y.
VELODYNE = """calib_time: 15-Mar-2012 11:37:16
R: 0 -1 0 0 0 -1 1 0 0
T: 0 -0.1 -0.25
"""


@pytest.fixture
def day(tmp_path: Path) -> Path:
    (tmp_path / "calib_cam_to_cam.txt").write_text(CAMERAS)
    (tmp_path / "calib_velo_to_cam.txt").write_text(VELODYNE)
    return tmp_path


def test_matrices_are_read_and_multiplied_in_order(day: Path) -> None:
    calibration = read_calibration(day, 2)
    assert (calibration.camera.width, calibration.camera.height) == (8, 6)
    np.testing.assert_array_equal(calibration.camera.K, [[4, 0, 3.5], [0, 4, 2.5], [0, 0, 1]])
    np.testing.assert_array_equal(calibration.projection[:, 3], [2, 0, 0.5])
    # 10 m ahead, 1 m left, 2 m up of the scanner.
    np.testing.assert_allclose(calibration.velodyne_to_camera @ [10, 1, 2, 1], [-1, -2.1, 9.75, 1])
    # u z = 4 * -1 + 3.5 * 9.75 + 2, v z = 4 * -2.1 + 2.5 * 9.75, z = 9.75 + 0.5.
    np.testing.assert_allclose(calibration.velodyne_to_image @ [10, 1, 2, 1], [32.125, 15.975, 10.25])


def test_values_that_are_not_numbers_are_skipped(day: Path) -> None:
    values = read_calibration_file(day / "calib_cam_to_cam.txt")
    assert "calib_time" not in values
    np.testing.assert_array_equal(values["corner_dist"], [0.0995])


@pytest.mark.parametrize("name", ["calib_cam_to_cam.txt", "calib_velo_to_cam.txt"])
def test_names_the_missing_file(day: Path, name: str) -> None:
    (day / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: cannot be read.*calibration archive"):
        read_calibration(day, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("P_rect_02", "P_rect_09", "has no numbers under 'P_rect_02'"),
        ("S_rect_02: 8.000000e+00 6", "S_rect_02: 6", "'S_rect_02' must be 2 finite numbers"),
        ("R_rect_00: 1 0", "R_rect_00: 1", "'R_rect_00' must be 9 finite numbers"),
        ("P_rect_02: 4 0", "P_rect_02: nan 0", "'P_rect_02' must be 12 finite numbers"),
        ("P_rect_02: 4 0", "P_rect_02: four 0", "has no numbers under 'P_rect_02'"),
        ("P_rect_02: 4 0", "P_rect_02: 0 0", "P_rect_02 is not a camera"),
        ("S_rect_02: 8", "S_rect_02: 0", "P_rect_02 is not a camera"),
    ],
)
def test_says_what_is_wrong_with_a_key(day: Path, old: str, new: str, message: str) -> None:
    path = day / "calib_cam_to_cam.txt"
    assert old in CAMERAS
    path.write_text(CAMERAS.replace(old, new))
    with pytest.raises(DataError, match=f"calib_cam_to_cam.txt: .*{message}"):
        read_calibration(day, 2)


def test_refuses_a_binary_file(day: Path) -> None:
    (day / "calib_velo_to_cam.txt").write_bytes(b"\xff\xfe\x00R: 1")
    with pytest.raises(DataError, match="not a text file"):
        read_calibration(day, 2)
