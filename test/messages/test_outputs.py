"""Messages of outputs: the same from ROS's classes and from those of bags, and written without another copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.detections import DetectedObject
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages import header_at, points_from_cloud, stored_pixels
from space_clip_ros.messages.outputs import CAMERA_INFO, LABEL_INFO, TOPICS, OutputMessages
from space_clip_ros.messages.types import message_class
from space_clip_ros.perception.outputs import OUTPUTS
from space_clip_ros.perception.semantics import Tokens

RANDOM = np.random.default_rng(0)
POINTS = RANDOM.random((5, 7, 4), np.float32)
POINTS[0, 0, :3] = np.nan
SCAN = PlanarScan(np.array([1.5, np.inf, 4.0], np.float32), -0.5, 0.25, 0.125, 30.0, np.eye(4))
TOKENS = Tokens(POINTS[..., :3], RANDOM.random((5, 7, 6), np.float32))
FOUND = [DetectedObject(3, "car", 0.75, (1.0, 0.5, 8.0), (1.8, 1.4, 0.5), 12.0)]
CAMERA = PinholeCamera(64, 48, 50.0, 52.0, 31.0, 23.0)


def header(frame_id: str = "camera") -> Header:
    head = Header(frame_id=frame_id)
    head.stamp.sec, head.stamp.nanosec = 7, 9
    return head


def test_every_output_of_the_core_has_its_topic() -> None:
    assert set(TOPICS) == {CAMERA_INFO, LABEL_INFO, *OUTPUTS}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", RANDOM.random((4, 6), np.float32)),
        ("depth", RANDOM.integers(0, 65536, (4, 6)).astype(np.uint16)),
        ("uncertainty", RANDOM.random((4, 6), np.float32)),
        ("color", RANDOM.integers(0, 256, (4, 6, 3)).astype(np.uint8)),
        (CAMERA_INFO, CAMERA),
        ("points", POINTS),
        ("points", POINTS[..., :3]),
        ("points", POINTS.reshape(-1, 4)[1:]),
        ("obstacles", POINTS.reshape(-1, 4)[1:]),
        ("obstacles", np.empty((0, 3), np.float32)),
        ("scan", SCAN),
        ("labels", RANDOM.integers(0, 256, (4, 6)).astype(np.uint8)),
        ("confidence", RANDOM.integers(0, 256, (4, 6)).astype(np.uint8)),
        ("markers", FOUND),
        ("markers", []),
        ("tokens", TOKENS),
        ("embedding", RANDOM.random(9, np.float32)),
    ],
)
def test_ros_and_bags_get_the_same_bytes(name: str, value: Any) -> None:
    pytest.importorskip("rosbags")
    from space_clip_ros.messages.bag_types import BAGS, TYPES

    ours = OutputMessages().message(name, value, header())
    theirs = OutputMessages(BAGS).message(name, value, header_at(7_000_000_009, "camera", BAGS))
    kind = message_class(TOPICS[name].kind)
    # Both as a subscriber sees them: on the way float64 becomes the field's float32.
    received = deserialize_message(bytes(TYPES.serialize_cdr(theirs, TOPICS[name].kind)), kind)
    assert received == deserialize_message(serialize_message(ours), kind)


def test_arrays_written_into_their_memory_need_no_copy() -> None:
    messages = OutputMessages()
    memory = messages.allocate("depth", (2, 3), np.float32)
    memory[:] = 2.0
    first = messages.message("depth", memory, header("a"))
    assert first.header.frame_id == "a"
    assert messages.allocate("depth", (2, 3), np.float32) is memory
    memory[:] = 3.0
    second = messages.message("depth", memory, header("b"))
    assert second is first
    assert second.header.frame_id == "b"
    assert stored_pixels(second)[1, 2] == 3.0


def test_another_shape_gets_new_memory() -> None:
    messages = OutputMessages()
    small = messages.allocate("points", (2, 3, 4), np.float32)
    small[:] = 1.0
    kept = messages.message("points", small, header())
    large = messages.allocate("points", (4, 3, 4), np.float32)
    large[:] = 2.0
    message = messages.message("points", large, header())
    assert (message.height, message.width, message.row_step) == (4, 3, 48)
    assert points_from_cloud(kept)["z"][1, 2] == 1.0


def test_an_array_from_elsewhere_is_copied() -> None:
    messages = OutputMessages()
    messages.allocate("depth", (2, 3), np.float32)
    pixels = np.full((2, 3), 5, np.uint16)
    message = messages.message("depth", pixels, header())
    assert message.encoding == "16UC1"
    pixels[:] = 0
    assert stored_pixels(message)[0, 0] == 5
