"""Changes the stamps of serialized messages in place, without decoding the rest."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from rosbags.interfaces import Nodetype

from space_clip_ros.messages.bag_types import TYPES

_HEADER = "std_msgs/msg/Header"
_TRANSFORMS = "tf2_msgs/msg/TFMessage"
# CDR data begins with a header of four bytes; the second gives the byte order.
_ENCAPSULATION = 4
_NS_PER_S = 1_000_000_000

Move = Callable[[int], int]
"""Returns a stamp's new value; both are nanoseconds since 1970."""


def restamped(kind: str, data: bytes, move: Move) -> bytes:
    """Return a message with its stamps changed.

    Args:
        kind: message type. Stamps are changed in ``TFMessage`` and in ROS's own types that begin with a header; other
            messages are returned unchanged.
        data: the message as CDR.
        move: called with each stamp; returns the new one.
    """
    if kind == _TRANSFORMS:
        return _restamped_transforms(data, move)
    if not _begins_with_stamp(kind) or len(data) < _ENCAPSULATION + 8:
        return data
    # A header begins with its stamp.
    stamp_format = "<iI" if data[1] & 1 else ">iI"
    seconds, nanoseconds = struct.unpack_from(stamp_format, data, _ENCAPSULATION)
    changed = bytearray(data)
    struct.pack_into(stamp_format, changed, _ENCAPSULATION, *divmod(move(seconds * _NS_PER_S + nanoseconds), _NS_PER_S))
    return bytes(changed)


def _begins_with_stamp(kind: str) -> bool:
    fields = TYPES.fielddefs[kind][1] if kind in TYPES.fielddefs else []
    return kind == _HEADER or (bool(fields) and fields[0][1] == (Nodetype.NAME, _HEADER))


def _restamped_transforms(data: bytes, move: Move) -> bytes:
    message: Any = TYPES.deserialize_cdr(data, _TRANSFORMS)
    for transform in message.transforms:
        stamp = transform.header.stamp
        stamp.sec, stamp.nanosec = divmod(move(stamp.sec * _NS_PER_S + stamp.nanosec), _NS_PER_S)
    return bytes(TYPES.serialize_cdr(message, _TRANSFORMS))
