"""Whatever a publisher sends: the node's callbacks refuse it in words, and the next good image gives depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.messages import image_from_array
from space_clip_ros.messages.images import LAYOUTS
from space_clip_ros.ros.node.depth_node import DepthNode

ROUNDS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SIZES = some.sampled_from([0, 1, 2, 3, 6, 8, 24, 48, 1 << 13, 1 << 26, 2**31, 2**32 - 1]) | some.integers(0, 32)
NUMBERS = some.sampled_from([0.0, -1.0, 1.0, 8.0, math.nan, math.inf, -math.inf, 1e308, 1e-308]) | some.floats()
HEADERS = some.builds(
    Header,
    stamp=some.builds(Time, sec=some.integers(-(2**31), 2**31 - 1), nanosec=some.integers(0, 2**32 - 1)),
    frame_id=some.sampled_from(["camera", ""]) | some.text(max_size=100),
)
ENCODINGS = some.sampled_from(sorted(LAYOUTS)) | some.text(max_size=60)


def filled(message: Any, data: bytes) -> Any:
    message.data.frombytes(data)
    return message


IMAGES = some.builds(
    filled,
    some.builds(
        Image,
        header=HEADERS,
        height=SIZES,
        width=SIZES,
        step=SIZES,
        encoding=ENCODINGS,
        is_bigendian=some.integers(0, 255),
    ),
    some.binary(max_size=2000),
)
PICTURES = some.builds(
    lambda message, start, rest: filled(message, start + rest),
    some.builds(CompressedImage, header=HEADERS, format=some.text(max_size=60)),
    some.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]),
    some.binary(max_size=500),
)
INFOS = some.builds(
    CameraInfo,
    header=HEADERS,
    height=SIZES,
    width=SIZES,
    distortion_model=some.sampled_from(["plumb_bob", "rational_polynomial", "equidistant"]) | some.text(max_size=30),
    d=some.lists(NUMBERS, max_size=20),
    k=some.lists(NUMBERS, min_size=9, max_size=9),
    r=some.lists(NUMBERS, min_size=9, max_size=9),
    p=some.lists(NUMBERS, min_size=12, max_size=12),
    binning_x=SIZES,
    binning_y=SIZES,
)


class Target:
    """An active node whose outputs are subscribed to."""

    def __init__(self, node: DepthNode, until: Callable[..., None], depth: list[Image]) -> None:
        self.node = node
        self.until = until
        self.depth = depth
        self.camera = node._pipeline.cameras[0]

    def handled(self) -> int:
        snapshot = self.camera.statistics.snapshot()
        return snapshot.published + sum(snapshot.dropped.values())

    def show(self, message: Any) -> None:
        before = self.handled()
        self.camera._on_image(message)
        self.until(lambda: self.handled() > before, "the message to be handled")

    def still_works(self) -> None:
        good = image_from_array(np.zeros((6, 8, 3), np.uint8), "rgb8", Header(frame_id="good"))
        self.camera._on_image(good)
        self.until(lambda: any(message.header.frame_id == "good" for message in self.depth), "depth of a good image")


@pytest.fixture
def target(
    start_node: Callable[..., DepthNode],
    spinning: Callable[..., Any],
    until: Callable[..., None],
    request: pytest.FixtureRequest,
) -> Target:
    node = start_node(image_transport=getattr(request, "param", "raw"))
    robot, depth = spinning(Node("robot")), []
    robot.create_subscription(Image, "depth/image", depth.append, 10)
    robot.create_subscription(PointCloud2, "depth/points", lambda message: None, 10)
    until(lambda: node._pipeline.cameras[0].publishers.subscribers() == 2, "outputs")
    return Target(node, until, depth)


def test_images(target: Target) -> None:
    @ROUNDS
    @given(IMAGES)
    def attack(message: Image) -> None:
        target.show(message)

    attack()
    target.still_works()


def test_camera_infos(target: Target) -> None:
    @ROUNDS
    @given(INFOS)
    def attack(info: CameraInfo) -> None:
        target.camera._on_info(info)
        message = image_from_array(np.zeros((6, 8, 3), np.uint8), "rgb8", Header(frame_id=info.header.frame_id))
        before = target.camera.statistics.snapshot()
        target.show(message)
        # A calibration may cost the cloud, never depth.
        after = target.camera.statistics.snapshot()
        assert after.published == before.published + 1, after.problem

    attack()
    assert len(target.camera.calibrations.frames) <= 16
    target.still_works()


@pytest.mark.parametrize("target", ["compressed"], indirect=True)
def test_compressed_pictures(target: Target) -> None:
    @ROUNDS
    @given(PICTURES)
    def attack(message: CompressedImage) -> None:
        target.show(message)

    attack()
    assert target.camera.statistics.snapshot().published == 0
    assert target.node._state == "active"
