"""Cameras into camera_info and back."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import calibration_from_info, camera_from_info, camera_info_from_camera

CAMERA = PinholeCamera(640, 480, 500.0, 510.0, 319.5, 239.5)


def test_round_trip():
    msg = camera_info_from_camera(CAMERA, Header(frame_id="camera"))
    assert (msg.width, msg.height, msg.distortion_model) == (640, 480, "plumb_bob")
    assert msg.header.frame_id == "camera"
    assert list(msg.d) == [0.0] * 5
    np.testing.assert_array_equal(np.reshape(msg.k, (3, 3)), CAMERA.K)
    np.testing.assert_array_equal(np.reshape(msg.p, (3, 4)), np.column_stack([CAMERA.K, np.zeros(3)]))
    np.testing.assert_array_equal(np.reshape(msg.r, (3, 3)), np.eye(3))
    assert camera_from_info(msg) == CAMERA
    assert camera_from_info(msg, rectified=False) == CAMERA


def test_p_is_for_rectified_and_k_for_raw_images():
    msg = camera_info_from_camera(CAMERA, Header())
    msg.p[0], msg.p[3] = 450.0, -225.0
    assert camera_from_info(msg).fx == 450.0
    assert camera_from_info(msg, rectified=False).fx == 500.0


def test_k_stands_in_for_a_p_of_zeros():
    msg = camera_info_from_camera(CAMERA, Header())
    msg.p = [0.0] * 12
    assert camera_from_info(msg) == CAMERA


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), -500.0])
def test_unusable_focal_lengths(value):
    msg = camera_info_from_camera(CAMERA, Header())
    msg.k[0] = msg.p[0] = value
    with pytest.raises(InputError, match=r"^/camera_info: P cannot be used: "):
        camera_from_info(msg, "/camera_info")
    with pytest.raises(InputError, match=r"^/camera_info: K cannot be used: "):
        camera_from_info(msg, "/camera_info", rectified=False)


def test_an_uncalibrated_camera():
    with pytest.raises(InputError, match=r"K cannot be used: .*at least 1x1 pixel, got 0x0"):
        camera_from_info(CameraInfo())


def test_a_calibration_holds_every_field():
    msg = camera_info_from_camera(CAMERA, Header())
    msg.distortion_model, msg.d = "rational_polynomial", [0.1 * number for number in range(8)]
    msg.binning_x, msg.binning_y = 2, 1
    msg.roi.x_offset, msg.roi.y_offset, msg.roi.width, msg.roi.height = 8, 4, 320, 240
    calibration = calibration_from_info(msg)
    assert (calibration.width, calibration.height, calibration.distortion_model) == (640, 480, "rational_polynomial")
    assert tuple(CAMERA.K.ravel()) == calibration.K
    assert tuple(msg.d) == calibration.D
    assert tuple(np.eye(3).ravel()) == calibration.R
    assert tuple(msg.p) == calibration.P
    assert (calibration.binning, calibration.roi) == ((2, 1), (8, 4, 320, 240))
    assert (calibration.delivered().width, calibration.delivered().height) == (160, 240)
