"""The sender of benchmarks: a picture and its camera, at a steady rate, stamped alike."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from space_clip_ros.errors import ConfigError
from space_clip_ros.messages import calibration_from_info, image_to_rgb
from space_clip_ros.tools.benchmark.camera_sender import CameraSender
from space_clip_ros.tools.benchmark.placeholder import placeholder_camera, placeholder_images


def test_pictures_and_cameras_come_in_pairs(ros, until):
    values = {"width": 40, "height": 30, "rate": 50.0}
    sender = CameraSender(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
    listener = Node("listener")
    images, infos = [], []
    listener.create_subscription(Image, "image", images.append, 10)
    listener.create_subscription(CameraInfo, "camera_info", infos.append, 10)

    def arrived():
        rclpy.spin_once(listener, timeout_sec=0.05)
        return len(images) >= 3 and len(infos) >= 3

    until(arrived, "three images")
    assert sender.close().startswith("sent ")
    stamps = [(info.header.stamp.sec, info.header.stamp.nanosec) for info in infos]
    assert len(set(stamps)) == len(stamps)
    assert {(image.header.stamp.sec, image.header.stamp.nanosec) for image in images} & set(stamps)
    assert calibration_from_info(infos[0]).rectified_camera(40, 30) == placeholder_camera(40, 30)
    np.testing.assert_array_equal(image_to_rgb(images[0]), placeholder_images(40, 30)[0])
    for node in (sender, listener):
        node.destroy_node()


@pytest.mark.parametrize("values", [{}, {"width": 40, "height": 0, "rate": 10.0}, {"width": 40, "height": 30}])
def test_parameters_that_are_missing_or_zero_are_refused(ros, values):
    with pytest.raises(ConfigError, match=r"parameters: (width|height|rate): must be given and above 0"):
        CameraSender(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
