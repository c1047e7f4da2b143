"""Stamps are changed, and nothing else."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.tools.bags import messages
from space_clip_ros.tools.bags.restamp import header_stamp, restamped

STAMP = 1_700_000_000_900_000_000
LATER = 1_800_000_001_100_000_000


def later(stamp: int) -> int:
    return stamp + LATER - STAMP


@pytest.mark.parametrize("little", [True, False])
def test_a_header_is_moved_in_either_byte_order(little: bool) -> None:
    image: Any = messages.image(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), messages.header(STAMP, "camera"))
    data = bytes(TYPES.serialize_cdr(image, image.__msgtype__, little_endian=little))
    moved: Any = TYPES.deserialize_cdr(restamped(image.__msgtype__, data, later), image.__msgtype__)
    expected: Any = messages.image(image.data.reshape(2, 2, 3), messages.header(LATER, "camera"))
    assert moved.header == expected.header
    np.testing.assert_array_equal(moved.data, expected.data)


def test_every_transform_is_moved() -> None:
    heads = [messages.header(STAMP + offset, "map") for offset in (0, 7)]
    message: Any = messages.transforms(*((head, "base_link", np.eye(4)) for head in heads))
    kind = message.__msgtype__
    moved: Any = TYPES.deserialize_cdr(restamped(kind, bytes(TYPES.serialize_cdr(message, kind)), later), kind)
    stamps = [transform.header.stamp for transform in moved.transforms]
    assert [stamp.sec * 10**9 + stamp.nanosec for stamp in stamps] == [LATER, LATER + 7]


@pytest.mark.parametrize(
    ("stamp", "moved_by", "expected"),
    [
        (0, 10**18, 0),
        (STAMP, 10**19, (2**31 - 1) * 10**9 + 999_999_999),
        (STAMP, -(10**19), 0),
    ],
    ids=["no stamp", "beyond 2038", "before 1970"],
)
def test_no_stamp_stays_none_and_no_stamp_leaves_what_a_message_can_hold(
    stamp: int, moved_by: int, expected: int
) -> None:
    header = messages.header(stamp, "map")
    transforms = messages.transforms((header, "base_link", np.eye(4)))
    for message in (header, transforms):
        kind = message.__msgtype__
        data = restamped(kind, bytes(TYPES.serialize_cdr(message, kind)), lambda stamp: stamp + moved_by)
        moved: Any = TYPES.deserialize_cdr(data, kind)
        head = moved.transforms[0].header if message is transforms else moved
        assert (head.stamp.sec * 10**9 + head.stamp.nanosec, head.frame_id) == (expected, "map")


@pytest.mark.parametrize("little", [True, False])
def test_a_headers_stamp_is_read_in_either_byte_order(little: bool) -> None:
    header: Any = messages.header(STAMP, "camera")
    assert header_stamp(bytes(TYPES.serialize_cdr(header, header.__msgtype__, little_endian=little))) == STAMP
    assert header_stamp(b"\0\1\0\0cut") == 0


@pytest.mark.parametrize("kind", ["std_msgs/msg/String", "rosgraph_msgs/msg/Clock", "my_msgs/msg/Type"])
def test_what_has_no_header_stays_as_it_is(kind: str) -> None:
    data = struct.pack("<4sI4s", b"\0\1\0\0", 4, b"abc\0")
    assert restamped(kind, data, later) == data


def test_a_message_cut_short_stays_as_it_is() -> None:
    assert restamped("sensor_msgs/msg/Image", b"\0\1\0\0\1", later) == b"\0\1\0\0\1"
