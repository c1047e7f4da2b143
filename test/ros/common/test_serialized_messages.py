"""Messages published as bytes: the same as rclpy would send, over real DDS, and errors that do not end the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.messages.outputs import TOPICS, OutputMessages
from space_clip_ros.messages.types import message_class
from space_clip_ros.ros.common.serialized_messages import SerializedMessage, can_publish_bytes

RANDOM = np.random.default_rng(0)
DEPTH = RANDOM.random((4, 6), np.float32)
POINTS = RANDOM.random((5, 7, 4), np.float32)


def header(frame_id: str = "camera", seconds: int = 7) -> Header:
    head = Header(frame_id=frame_id)
    head.stamp.sec, head.stamp.nanosec = seconds, 999_999_999
    return head


def written(name: str, values: np.ndarray, head: Header) -> SerializedMessage:
    messages = OutputMessages(memory=SerializedMessage)
    memory = messages.allocate(name, values.shape, values.dtype)
    assert not memory.any()
    memory[...] = values
    message: SerializedMessage = messages.message(name, memory, head)
    return message


def as_received(message: SerializedMessage, kind: type) -> Any:
    return deserialize_message(bytes(message._buffer), kind)


@pytest.mark.parametrize(
    ("name", "values"),
    [("depth", DEPTH), ("uncertainty", DEPTH[:1, :1]), ("points", POINTS), ("points", POINTS[..., :3])],
)
# Of every length modulo four, since what follows is aligned.
@pytest.mark.parametrize("frame_id", ["", "c", "ca", "cam", "came", "caméra"])
def test_bytes_are_those_of_rclpy(name: str, values: np.ndarray, frame_id: str) -> None:
    head = header(frame_id, -3)
    plain = OutputMessages().message(name, np.ascontiguousarray(values), head)
    assert bytes(written(name, values, head)._buffer) == serialize_message(plain)


def test_the_array_is_aligned_and_kept() -> None:
    messages = OutputMessages(memory=SerializedMessage)
    memory = messages.allocate("points", POINTS.shape, np.float32)
    message = messages.message("points", memory, header("abc"))
    kept = messages.allocate("points", POINTS.shape, np.float32)
    assert kept.ctypes.data % 64 == 0
    assert kept.flags.c_contiguous
    assert messages.message("points", kept, header("abc", 8)) is message
    assert messages.allocate("points", POINTS.shape, np.float32) is kept
    assert as_received(message, PointCloud2).header.stamp.sec == 8


def test_another_frame_id_keeps_the_values() -> None:
    message = written("depth", DEPTH, header("a"))
    received = as_received(message.with_header(header("another frame", 9)), Image)
    assert (received.header.frame_id, received.header.stamp.sec) == ("another frame", 9)
    assert np.array_equal(np.frombuffer(received.data, np.float32).reshape(DEPTH.shape), DEPTH)


def test_a_subscriber_gets_every_value(spinning: Callable[..., Any], until: Callable[..., None]) -> None:
    assert can_publish_bytes()
    node = spinning(LifecycleNode("sender"))
    received: dict[str, list[Any]] = {"depth": [], "points": []}
    for name, kind in (("depth", Image), ("points", PointCloud2)):
        node.create_subscription(kind, name, received[name].append, 10)
    for name, values in (("depth", DEPTH), ("points", RANDOM.random((375, 1242, 4), np.float32))):
        message = written(name, values, header())
        publisher = node.create_lifecycle_publisher(message_class(TOPICS[name].kind), name, 2)
        until(publisher.get_subscription_count, "the subscription")
        # Not yet active: dropped, as rclpy does.
        message.publish(publisher)
        publisher.on_activate(None)
        message.with_header(header("camera", 8)).publish(publisher)
        until(lambda name=name: received[name], "the message")
        (got,) = received[name]
        assert got.header == header("camera", 8)
        assert bytes(got.data) == values.tobytes()


def test_what_cannot_be_published_is_rclpys_error() -> None:
    context = Context()
    rclpy.init(context=context)
    node = LifecycleNode("sender", context=context)
    publisher = node.create_lifecycle_publisher(Image, "depth", 2)
    publisher.on_activate(None)
    message = written("depth", DEPTH, header())
    context.try_shutdown()
    with pytest.raises(RuntimeError, match=r"publisher|Destroyable"):
        message.publish(publisher)
    node.destroy_publisher(publisher)
    with pytest.raises(RuntimeError):
        message.publish(publisher)
    Node.destroy_node(node)
