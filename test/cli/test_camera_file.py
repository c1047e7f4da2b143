"""Calibration files as ROS writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.cli.camera_file import read_camera_file
from space_clip_ros.errors import DataError

# Of the ROS wiki's camera_calibration tutorial.
CALIBRATION = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo/left
camera_matrix:
  rows: 3
  cols: 3
  data: [438.783367, 0.000000, 305.593336, 0.000000, 437.302876, 243.738352, 0.000000, 0.000000, 1.000000]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361976, 0.110510, 0.001014, 0.000505, 0.000000]
rectification_matrix:
  rows: 3
  cols: 3
  data: [0.999978, 0.002789, -0.006046, -0.002816, 0.999986, -0.004401, 0.006034, 0.004417, 0.999972]
projection_matrix:
  rows: 3
  cols: 4
  data: [393.653800, 0.000000, 322.797939, 0.000000, 0.000000, 393.653800, 241.090902, 0.000000, 0.000000, 0.000000,
    1.000000, 0.000000]
"""
PINHOLE = """\
image_width: 64
image_height: 48
camera_matrix: {rows: 3, cols: 3, data: [50, 0, 31.5, 0, 51, 23.5, 0, 0, 1]}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "camera.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_tutorials_camera(tmp_path: Path) -> None:
    rectifier = read_camera_file(written(tmp_path, CALIBRATION))
    assert rectifier.size == (640, 480) and not rectifier.identity
    assert (rectifier.camera.fx, rectifier.camera.cx) == (393.6538, 322.797939)


def test_only_the_matrix(tmp_path: Path) -> None:
    rectifier = read_camera_file(written(tmp_path, PINHOLE))
    assert rectifier.identity
    np.testing.assert_array_equal(rectifier.camera.K, [[50, 0, 31.5], [0, 51, 23.5], [0, 0, 1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not valid YAML"),
        ("just text", "is not a camera calibration"),
        (PINHOLE.replace("image_width", "wide"), "is not a camera calibration; it lacks image_width"),
        (PINHOLE.replace("data", "numbers"), r"it lacks camera_matrix\.data"),
        (PINHOLE.replace("[50,", "[0,"), "holds no usable camera: focal lengths must be above 0"),
        (PINHOLE.replace("[50, 0,", "["), "holds no usable camera"),
        (PINHOLE.replace("64", "wide"), "holds no usable camera"),
        (CALIBRATION.replace("plumb_bob", "pear"), "holds no usable camera: .*pear"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"camera\.yaml: .*{message}"):
        read_camera_file(written(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.yaml: cannot be read"):
        read_camera_file(tmp_path / "missing.yaml")
