"""Depth cut to its range, with one message for all frames."""

from __future__ import annotations

import dataclasses

import numpy as np
from std_msgs.msg import Header

from space_clip_ros.config import NodeConfig
from space_clip_ros.messages import stored_pixels
from space_clip_ros.perception.frame import DepthMessage, Frame, Stopwatch
from space_clip_ros.ros.node.outputs import RosMessages

SETTINGS = dataclasses.replace(NodeConfig(), min_depth=1.0, max_depth=10.0)


def frame(metres: np.ndarray, buffer: DepthMessage, outside: np.ndarray | None = None, name: str = "camera") -> Frame:
    rgb = np.zeros((*metres.shape, 3), np.uint8)
    return Frame(Header(frame_id=name), rgb, metres, outside, None, SETTINGS, buffer)


def test_depth_outside_the_range_or_the_picture_is_invalid():
    metres = np.array([[0.0, 0.5, 1.0], [10.0, 10.5, 5.0]], np.float32)
    outside = np.array([[False, False, False], [False, False, True]])
    one = frame(metres, DepthMessage(RosMessages()), outside)
    expected = np.array([[np.nan, np.nan, 1.0], [10.0, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(one.depth, expected)
    np.testing.assert_array_equal(stored_pixels(one.depth_message()), expected)
    np.testing.assert_array_equal(
        one.unbounded_depth(), np.array([[np.nan, np.nan, 1.0], [10.0, 10.5, np.nan]], np.float32)
    )
    assert metres[0, 0] == 0.0


def test_frames_share_one_message_until_their_size_changes():
    buffer = DepthMessage(RosMessages())
    first = frame(np.full((2, 3), 2.0, np.float32), buffer, name="a").depth_message()
    second = frame(np.full((2, 3), 3.0, np.float32), buffer, name="b").depth_message()
    assert first is second
    assert second.header.frame_id == "b"
    assert stored_pixels(second)[1, 2] == 3.0
    third = frame(np.full((4, 3), 4.0, np.float32), buffer).depth_message()
    assert (third.height, third.width, third.step, third.encoding) == (4, 3, 12, "32FC1")
    assert stored_pixels(second)[1, 2] == 3.0


def test_stopwatch_keeps_the_order_of_stages():
    watch = Stopwatch()
    watch.lap("convert")
    watch.lap("engine")
    assert list(watch.stages_ms) == ["convert", "engine"]
    assert all(value >= 0 for value in watch.stages_ms.values())
