"""Every kind of picture and lens over real DDS: depth is that of the picture which the conversions give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.inference import load_predictor
from space_clip_ros.messages import (
    calibration_from_info,
    camera_info_from_camera,
    compressed_to_rgb,
    depth_from_image,
    image_from_array,
    image_to_rgb,
)
from space_clip_ros.ros.node.depth_node import DepthNode

HEIGHT, WIDTH = 24, 32
CAMERA = PinholeCamera(WIDTH, HEIGHT, 30.0, 30.0, 15.5, 11.5)
PICTURE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
LENSES = {
    "plumb_bob": [-0.2, 0.05, 0.0, 0.0, 0.0],
    "rational_polynomial": [-0.2, 0.05, 0.0, 0.0, 0.01, 0.02, 0.0, 0.0],
    "equidistant": [0.05, -0.01, 0.0, 0.0],
}


class Viewer:
    """The node, one camera's publishers and a subscriber of its depth."""

    def __init__(
        self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None], transport: str
    ) -> None:
        self.node = node
        robot = spinning(Node("robot"))
        self.until = until
        self.depths: list[Image] = []
        self.reports: list[DiagnosticArray] = []
        robot.create_subscription(Image, "depth/image", self.depths.append, 10)
        robot.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        self.infos = robot.create_publisher(CameraInfo, "camera_info", 1)
        kind, topic = (Image, "image") if transport == "raw" else (CompressedImage, "image/compressed")
        self.images = robot.create_publisher(kind, topic, 1)
        until(lambda: self.images.get_subscription_count() and self.infos.get_subscription_count(), "inputs")
        until(node._pipeline.cameras[0].publishers.subscribers, "outputs")

    def depth_of(self, message: Image | CompressedImage) -> np.ndarray:
        self.depths.clear()
        self.images.publish(message)
        self.until(lambda: self.depths, "depth")
        return depth_from_image(self.depths[0])


@pytest.fixture
def view(start_node, spinning, until) -> Callable[..., Viewer]:
    def start(transport: str = "raw") -> Viewer:
        return Viewer(start_node(image_transport=transport, focal_scaling="never"), spinning, until, transport)

    return start


@pytest.fixture
def predict(tiny_model_file) -> Any:
    return load_predictor(tiny_model_file, threads=1)


def raw(encoding: str, channels: int, bytes_each: int = 1) -> Image:
    data = np.random.default_rng(channels).integers(0, 256, HEIGHT * WIDTH * channels * bytes_each).astype(np.uint8)
    message = Image(header=Header(frame_id="camera"), height=HEIGHT, width=WIDTH, encoding=encoding)
    message.step = WIDTH * channels * bytes_each
    message.data.frombytes(data.tobytes())
    return message


def test_raw_pictures_of_every_kind(view, predict):
    viewer = view()
    kinds = [("mono8", 1), ("mono16", 1, 2), ("bayer_rggb8", 1), ("bayer_gbrg8", 1), ("bayer_bggr16", 1, 2)]
    for kind in [*kinds, ("bgr8", 3), ("rgba8", 4), ("yuv422_yuy2", 2)]:
        message = raw(*kind)
        expected = predict(np.ascontiguousarray(image_to_rgb(message, "image")))
        np.testing.assert_allclose(viewer.depth_of(message), expected, rtol=1e-5, err_msg=kind[0])


def test_compressed_pictures_of_every_kind(view, predict):
    viewer = view("compressed")
    deep = np.random.default_rng(1).integers(0, 2**16, (HEIGHT, WIDTH)).astype(np.uint16)
    for suffix, kind, pixels in ((".jpg", "jpeg", PICTURE), (".png", "png", PICTURE), (".png", "mono16; png", deep)):
        message = CompressedImage(header=Header(frame_id="camera"), format=kind)
        message.data.frombytes(cv2.imencode(suffix, pixels)[1].tobytes())
        expected = predict(compressed_to_rgb(message, "image/compressed"))
        np.testing.assert_allclose(viewer.depth_of(message), expected, rtol=1e-5, err_msg=kind)


def test_every_lens_is_rectified_and_off_leaves_the_picture_alone(view, predict):
    viewer = view()
    for model, coefficients in LENSES.items():
        info = camera_info_from_camera(CAMERA, Header(frame_id="camera"))
        info.distortion_model, info.d = model, coefficients
        calibration = calibration_from_info(info)
        rectifier = calibration.rectifier(WIDTH, HEIGHT)
        assert not rectifier.identity
        known = viewer.node._pipeline.cameras[0].calibrations
        viewer.infos.publish(info)
        viewer.until(lambda known=known, new=calibration: known._calibrations.get("camera") == new, "camera_info")
        shown = viewer.depth_of(image_from_array(PICTURE, "rgb8", Header(frame_id="camera")))
        expected = np.where(rectifier.outside, np.nan, predict(rectifier(PICTURE)))
        np.testing.assert_allclose(shown, expected, rtol=1e-5, err_msg=model)
    assert viewer.node.set_parameters([Parameter("rectify", value="never")])[0].successful
    shown = viewer.depth_of(image_from_array(PICTURE, "rgb8", Header(frame_id="camera")))
    np.testing.assert_allclose(shown, predict(PICTURE), rtol=1e-5)


def test_a_threshold_that_is_crossed_is_a_warning(view, until):
    viewer = view()
    assert viewer.node.set_parameters([Parameter("diagnostics.min_rate", value=1000.0)])[0].successful
    viewer.depth_of(image_from_array(PICTURE, "rgb8", Header(frame_id="camera")))

    def warned() -> bool:
        status = viewer.reports[-1].status[0]
        return status.level == DiagnosticStatus.WARN and "below the 1000 Hz of diagnostics.min_rate" in status.message

    until(warned, "the warning")
