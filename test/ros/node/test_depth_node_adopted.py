"""An adopted model in the node over real DDS: depth comes out, and relative depth is called that."""

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


@pytest.fixture(scope="module")
def relative_file(tmp_path_factory: pytest.TempPathFactory, third_party_models: Any) -> Path:
    from space_clip_ros.export.adopt import adopt
    from space_clip_ros.export.adopt_recipe import NORMALISATIONS, Recipe

    folder = tmp_path_factory.mktemp("relative")
    mean, std = NORMALISATIONS["imagenet"]
    recipe = Recipe(size=(28, 42), mean=mean, std=std, output="relative")
    return adopt(third_party_models.write(folder / "theirs.onnx"), folder / "relative.onnx", recipe).path


def test_depth_is_the_files_and_diagnostics_warn_that_it_is_relative(
    relative_file: Path,
    start_node: Callable[..., DepthNode],
    spinning: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    node, robot, depths, reports = start_node(model=relative_file), spinning(Node("robot")), [], []
    images = robot.create_publisher(Image, "image", 10)
    robot.create_subscription(Image, "depth/image", depths.append, 50)
    robot.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 50)
    until(images.get_subscription_count, "the image to be matched")
    until(lambda: node._pipeline.cameras[0].publishers.subscribers() >= 1, "matched outputs")
    images.publish(image_from_array(PICTURE, "rgb8", Header(frame_id="camera")))
    until(lambda: depths, "depth")
    with load_predictor(relative_file, threads=1) as predict:
        np.testing.assert_allclose(stored_pixels(depths[0]), predict(PICTURE), rtol=1e-5)

    def warned() -> bool:
        statuses = [status for report in reports for status in report.status]
        return any("not metric" in status.message for status in statuses)

    until(warned, "the warning")
    texts = status_texts(reports[-1].status[-1])
    assert DepthValues.read(texts).metric is False
