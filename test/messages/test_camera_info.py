"""Cameras into camera_info and back."""

from __future__ import annotations

import numpy as np
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages import calibration_from_info, camera_info_from_camera

CAMERA = PinholeCamera(640, 480, 500.0, 510.0, 319.5, 239.5)


def test_round_trip():
    msg = camera_info_from_camera(CAMERA, Header(frame_id="camera"))
    assert (msg.width, msg.height, msg.distortion_model) == (640, 480, "plumb_bob")
    assert msg.header.frame_id == "camera"
    assert list(msg.d) == [0.0] * 5
    np.testing.assert_array_equal(np.reshape(msg.k, (3, 3)), CAMERA.K)
    np.testing.assert_array_equal(np.reshape(msg.p, (3, 4)), np.column_stack([CAMERA.K, np.zeros(3)]))
    np.testing.assert_array_equal(np.reshape(msg.r, (3, 3)), np.eye(3))
    assert calibration_from_info(msg).rectified_camera(640, 480) == CAMERA


def test_the_right_camera_of_a_stereo_pair_has_its_offset_in_p():
    msg = camera_info_from_camera(CAMERA, Header(), offset=-60.0)
    assert np.reshape(msg.p, (3, 4))[0, 3] == -60.0
    assert calibration_from_info(msg).rectified_camera(640, 480) == CAMERA


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
