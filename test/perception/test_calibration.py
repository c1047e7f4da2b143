"""Which camera an image has, from the newest camera_info of its frame."""

from __future__ import annotations

from typing import Any

import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import camera_info_from_camera
from space_clip_ros.perception.calibration import Calibration, image_size

CAMERA = PinholeCamera(64, 48, 50.0, 52.0, 31.0, 23.0)


def info(frame_id: str = "camera", **fields: Any) -> CameraInfo:
    message = camera_info_from_camera(CAMERA, Header(frame_id=frame_id))
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.fixture
def calibration() -> Calibration:
    return Calibration("/camera_info")


def test_an_undistorted_camera(calibration):
    calibration.update(info())
    view = calibration.view("camera", 64, 48, "auto")
    assert (view.camera, view.rectifier, view.problem) == (CAMERA, None, "")
    assert calibration.view("camera", 64, 48, "auto") is view


def test_nothing_known_yet(calibration):
    view = calibration.view("camera", 64, 48, "auto")
    assert (view.camera, view.problem) == (None, "no camera_info on /camera_info yet")


def test_another_frame(calibration):
    calibration.update(info("left"))
    problem = calibration.view("right", 64, 48, "auto").problem
    assert problem == "camera_info on /camera_info is for frame 'left', but images are in frame 'right'"


def test_the_newest_of_each_frame_counts(calibration):
    calibration.update(info("left"))
    calibration.update(info("right", p=[40.0, 0, 31, 0, 0, 40.0, 23, 0, 0, 0, 1, 0]))
    assert calibration.view("left", 64, 48, "auto").camera == CAMERA
    assert calibration.view("right", 64, 48, "auto").camera.fx == 40.0
    calibration.update(info("left", p=[45.0, 0, 31, 0, 0, 45.0, 23, 0, 0, 0, 1, 0]))
    assert calibration.view("left", 64, 48, "auto").camera.fx == 45.0
    assert calibration.frames == ("right", "left")
    calibration.clear()
    assert calibration.frames == ()


def test_a_publisher_of_many_frames_costs_bounded_memory(calibration):
    for number in range(1000):
        calibration.update(info(f"frame {number}"))
    assert len(calibration.frames) == 16
    assert calibration.view("frame 999", 64, 48, "auto").camera == CAMERA


@pytest.mark.parametrize("name", ["k", "p", "d", "r"])
def test_nan_is_said_once_and_for_all_alike(calibration, name):
    broken = info()
    getattr(broken, name)[0] = float("nan")
    calibration.update(broken)
    view = calibration.view("camera", 64, 48, "auto")
    assert view.camera is None
    assert view.problem.startswith("camera_info on /camera_info cannot be used: ")
    assert "\n" not in view.problem
    assert calibration.view("camera", 64, 48, "auto") is view


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"k": [0.0] * 9}, "focal lengths must be above 0"),
        (
            {"width": 128},
            "it is for images of 128x48 pixels (after binning and region of interest), but they are 64x48",
        ),
        ({"binning_x": 2}, "it is for images of 32x48"),
        ({"d": [0.1] * 5, "distortion_model": "fish"}, "distortion model must be one of"),
        ({"d": [0.1] * 5, "distortion_model": "x" * 10**6}, "distortion model must be one of"),
        ({"d": [0.1] * 3}, "plumb_bob has 4 or 5 distortion coefficients, got 3"),
    ],
)
def test_unusable_calibrations(calibration, fields, text):
    calibration.update(info(**fields))
    problem = calibration.view("camera", 64, 48, "auto").problem
    assert text in problem
    assert len(problem) < 400


@pytest.mark.parametrize(
    ("fields", "size"),
    [({}, (48, 64)), ({"binning_x": 2}, (48, 32)), ({"k": [0.0] * 9}, None), ({"width": 0}, None)],
)
def test_the_size_of_the_images_to_come(fields, size):
    assert image_size(info(**fields)) == size


def test_distortion_is_rectified_unless_turned_off(calibration):
    calibration.update(info(d=[-0.2, 0.05, 0.0, 0.0, 0.0], p=[40.0, 0, 31, 0, 0, 41.0, 23, 0, 0, 0, 1, 0]))
    view = calibration.view("camera", 64, 48, "auto")
    rectified = PinholeCamera(64, 48, 40.0, 41.0, 31.0, 23.0)
    assert view.camera == rectified
    assert view.rectifier.camera == rectified
    off = calibration.view("camera", 64, 48, "off")
    assert (off.camera, off.rectifier) == (rectified, None)


def test_no_coefficients_at_all_mean_no_distortion(calibration):
    calibration.update(info(d=[], distortion_model=""))
    view = calibration.view("camera", 64, 48, "auto")
    assert (view.camera, view.rectifier) == (CAMERA, None)
