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


# As OpenCV's calibration sample writes it; older versions begin names with a capital.
OPENCV = """\
%YAML:1.0
---
calibration_time: "Thu 26 Nov 2026"
image_Width: 64
image_Height: 48
fisheye_model: 0
Camera_Matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 50., 0., 31.5, 0., 51., 23.5, 0., 0., 1. ]
Distortion_Coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ -0.3, 0.1, 0., 0., 0. ]
"""


def test_the_tutorials_camera(tmp_path: Path) -> None:
    rectifier = read_camera_file(written(tmp_path, CALIBRATION)).rectifier(640, 480)
    assert not rectifier.identity
    assert (rectifier.camera.fx, rectifier.camera.cx) == (393.6538, 322.797939)


def test_only_the_matrix(tmp_path: Path) -> None:
    rectifier = read_camera_file(written(tmp_path, PINHOLE)).rectifier(64, 48)
    assert rectifier.identity
    np.testing.assert_array_equal(rectifier.camera.K, [[50, 0, 31.5], [0, 51, 23.5], [0, 0, 1]])


def test_opencvs_own_files(tmp_path: Path) -> None:
    calibration = read_camera_file(written(tmp_path, OPENCV))
    assert (calibration.width, calibration.height, calibration.distortion_model) == (64, 48, "plumb_bob")
    assert calibration.D == (-0.3, 0.1, 0.0, 0.0, 0.0)


DISTORTED = PINHOLE + "distortion_coefficients: {rows: 1, cols: 4, data: [0.1, 0.01, 0.0, 0.0]}\n"


@pytest.mark.parametrize(
    ("lines", "model"),
    [
        ("", "plumb_bob"),
        ("distortion_model: equidistant\n", "equidistant"),
        ("camera_model: fisheye\n", "fisheye"),
        ("camera_model: Equidistant\n", "equidistant"),
        ("camera_model: pinhole\n", "plumb_bob"),
        ("camera_model: pinhole\ndistortion_model: rational_polynomial\n", "rational_polynomial"),
        ("camera_model: fisheye\ndistortion_model: equidistant\n", "equidistant"),
        ("camera_model: perspective\n", "plumb_bob"),
        ("camera_model: Kannala-Brandt4\n", "kannala_brandt4"),
        ("distortion_model: ''\n", "plumb_bob"),
        ("distortion_model: ''\ncamera_model: fisheye\n", "fisheye"),
        ("fisheye_model: 1\n", "equidistant"),
        ("fisheye_model: '1'\n", "equidistant"),
        ("is_fisheye: true\n", "equidistant"),
        ("fisheye_model: 0\n", "plumb_bob"),
    ],
)
def test_the_ways_to_name_a_model(tmp_path: Path, lines: str, model: str) -> None:
    assert read_camera_file(written(tmp_path, DISTORTED + lines)).distortion_model == model


def test_a_fisheye_is_rectified_as_one(tmp_path: Path) -> None:
    fisheye = read_camera_file(written(tmp_path, DISTORTED + "camera_model: fisheye\n")).rectifier(64, 48)
    named = read_camera_file(written(tmp_path, DISTORTED + "distortion_model: equidistant\n")).rectifier(64, 48)
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    np.testing.assert_array_equal(fisheye(image), named(image))


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
        (CALIBRATION + "camera_model: fisheye\n", "contradicts a camera that is fisheye; leave out the wrong one"),
        (CALIBRATION + "fisheye_model: 1\n", "plumb_bob contradicts a camera that is equidistant"),
        (DISTORTED + "camera_model: double_sphere\n", "holds no usable camera: .*double_sphere"),
        (PINHOLE.replace("50", "0.5").replace("51", "0.5"), "holds no usable camera: .*calibrate the camera"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"camera\.yaml: .*{message}"):
        read_camera_file(written(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.yaml: cannot be read"):
        read_camera_file(tmp_path / "missing.yaml")
