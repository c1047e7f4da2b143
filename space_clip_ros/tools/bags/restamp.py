"""Messages with other stamps: the header's is changed in the bytes, nothing else is looked at."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from rosbags.interfaces import Nodetype

from space_clip_ros.messages.bag_types import TYPES

_HEADER = "std_msgs/msg/Header"
_TRANSFORMS = "tf2_msgs/msg/TFMessage"
_ENCAPSULATION = 4
_SECOND = 1_000_000_000

Move = Callable[[int], int]
"""Gives a stamp's new value, both nanoseconds."""


def restamped(kind: str, data: bytes, move: Move) -> bytes:
    """Return a message with its stamp moved.

    Args:
        kind: its type; those of ROS that begin with a header and ``TFMessage`` have stamps, others stay as they are.
        data: CDR.
        move: called with each stamp.
    """
    if kind == _TRANSFORMS:
        return _restamped_transforms(data, move)
    if not _begins_with_stamp(kind) or len(data) < _ENCAPSULATION + 8:
        return data
    # A header begins with its stamp, and a message with four bytes that tell the byte order.
    form = "<iI" if data[1] & 1 else ">iI"
    seconds, nanoseconds = struct.unpack_from(form, data, _ENCAPSULATION)
    changed = bytearray(data)
    struct.pack_into(form, changed, _ENCAPSULATION, *divmod(move(seconds * _SECOND + nanoseconds), _SECOND))
    return bytes(changed)


def _begins_with_stamp(kind: str) -> bool:
    fields = TYPES.fielddefs[kind][1] if kind in TYPES.fielddefs else []
    return kind == _HEADER or (bool(fields) and fields[0][1] == (Nodetype.NAME, _HEADER))


def _restamped_transforms(data: bytes, move: Move) -> bytes:
    message: Any = TYPES.deserialize_cdr(data, _TRANSFORMS)
    for transform in message.transforms:
        stamp = transform.header.stamp
        stamp.sec, stamp.nanosec = divmod(move(stamp.sec * _SECOND + stamp.nanosec), _SECOND)
    return bytes(TYPES.serialize_cdr(message, _TRANSFORMS))
