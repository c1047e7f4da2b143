"""Reads and changes the stamps of serialized messages in place, without decoding the rest."""

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
_LATEST_NS = 2**31 * _NS_PER_S - 1
"""The last stamp that a message can hold, in 2038."""

Move = Callable[[int], int]
"""Returns a stamp's new value; both are nanoseconds since 1970."""


def restamped(kind: str, data: bytes, move: Move) -> bytes:
    """Return a message with its stamps changed.

    Args:
        kind: message type. Stamps are changed in ``TFMessage`` and in ROS's own types that begin with a header; other
            messages are returned unchanged.
        data: the message as CDR.
        move: called with each stamp; returns the new one. A stamp of 0 means that there is none, and stays.
    """
    if kind == _TRANSFORMS:
        return _restamped_transforms(data, move)
    if not _begins_with_stamp(kind) or len(data) < _ENCAPSULATION + 8:
        return data
    changed = bytearray(data)
    struct.pack_into(_stamp_format(data), changed, _ENCAPSULATION, *_moved(header_stamp(data), move))
    return bytes(changed)


def header_stamp(data: bytes) -> int:
    """Return the stamp of a message that begins with a header, nanoseconds; 0 if the message is cut short.

    Args:
        data: the message as CDR.
    """
    if len(data) < _ENCAPSULATION + 8:
        return 0
    # A header begins with its stamp.
    seconds, nanoseconds = struct.unpack_from(_stamp_format(data), data, _ENCAPSULATION)
    return int(seconds * _NS_PER_S + nanoseconds)


def _stamp_format(data: bytes) -> str:
    return "<iI" if data[1] & 1 else ">iI"


def _moved(stamp_ns: int, move: Move) -> tuple[int, int]:
    """Return the seconds and nanoseconds of a stamp's new value, within what a message can hold."""
    return divmod(min(max(move(stamp_ns), 0), _LATEST_NS) if stamp_ns else 0, _NS_PER_S)


def _begins_with_stamp(kind: str) -> bool:
    fields = TYPES.fielddefs[kind][1] if kind in TYPES.fielddefs else []
    return kind == _HEADER or (bool(fields) and fields[0][1] == (Nodetype.NAME, _HEADER))


def _restamped_transforms(data: bytes, move: Move) -> bytes:
    message: Any = TYPES.deserialize_cdr(data, _TRANSFORMS)
    for transform in message.transforms:
        stamp = transform.header.stamp
        stamp.sec, stamp.nanosec = _moved(stamp.sec * _NS_PER_S + stamp.nanosec, move)
    return bytes(TYPES.serialize_cdr(message, _TRANSFORMS))
