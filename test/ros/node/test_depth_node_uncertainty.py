"""depth/uncertainty over real DDS, from a model that gives it and from one that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from space_clip_ros.inference import load_predictor
from space_clip_ros.messages import image_from_array, stored_pixels
from space_clip_ros.messages.diagnostics import DepthValues, status_texts
from space_clip_ros.ros.node.depth_node import DepthNode

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
TOPICS = ("depth/image", "depth/uncertainty")


@pytest.fixture(scope="module")
def uncertain_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from space_clip_ros.export.onnx import export

    path = tmp_path_factory.mktemp("uncertain") / "uncertain.onnx"
    export(request.getfixturevalue("tiny_model")("uncertain", uncertainty=True), path)
    return path


class Robot:
    """A node with one subscriber of both topics."""

    def __init__(self, node: DepthNode, spinning: Callable[..., Any], until: Callable[..., None]) -> None:
        self.until = until
        self.node = node
        robot = spinning(Node("robot"))
        self.received: dict[str, list[Any]] = {topic: [] for topic in (*TOPICS, "/diagnostics")}
        self.images = robot.create_publisher(Image, "image", 10)
        for topic in TOPICS:
            robot.create_subscription(Image, topic, self.received[topic].append, 50)
        robot.create_subscription(DiagnosticArray, "/diagnostics", self.received["/diagnostics"].append, 50)
        until(self.images.get_subscription_count, "the image to be matched")
        publishers = self.node._pipeline.cameras[0].publishers
        until(lambda: publishers.subscribers() >= len(TOPICS), "matched outputs")

    def send(self) -> Header:
        header = Header(frame_id="camera")
        header.stamp.sec = 100
        self.images.publish(image_from_array(PICTURE, "rgb8", header))
        self.until(lambda: self.received["depth/image"], "depth")
        return header

    def values(self) -> DepthValues:
        self.until(lambda: self.received["/diagnostics"], "diagnostics")
        return DepthValues.read(status_texts(self.received["/diagnostics"][-1].status[0]))


def test_one_sigma_in_metres_with_the_images_header(start_node, spinning, until, uncertain_file):
    robot = Robot(start_node(model=uncertain_file, depth_scale=2.0, max_depth=20.0), spinning, until)
    header = robot.send()
    until(lambda: robot.received["depth/uncertainty"], "uncertainty")
    message, depth_message = robot.received["depth/uncertainty"][0], robot.received["depth/image"][0]
    assert (message.header, message.encoding, message.height, message.width) == (header, "32FC1", 48, 64)
    with load_predictor(uncertain_file, threads=1) as predict:
        depth, sigma = predict.with_uncertainty(PICTURE)
    invalid = (depth * 2 < 0.1) | (depth * 2 > 20.0)
    assert invalid.any() and not invalid.all()
    expected = np.where(invalid, np.nan, sigma * 2)
    np.testing.assert_allclose(stored_pixels(message), expected, rtol=1e-5)
    np.testing.assert_array_equal(np.isnan(stored_pixels(depth_message)), invalid)
    assert robot.values().uncertainty is True


def test_a_model_without_it_says_so_and_depth_goes_on(start_node, spinning, until):
    robot = Robot(start_node(**{"points.max_uncertainty": 0.2}), spinning, until)
    robot.send()
    assert not robot.received["depth/uncertainty"]
    assert robot.values().uncertainty is False
    logged = robot.node._pipeline.cameras[0]._log._last
    assert "model tiny_random gives no uncertainty: depth/uncertainty left out" in logged
