"""Large messages kept as the bytes that DDS sends, and published without rclpy's copies.

rclpy copies a message into a C structure and serialises that before DDS copies it once more, and holds Python's lock
all the while. Bytes handed to rcl's own ``rcl_publish_serialized_message`` take only the last step, without the lock.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from rclpy.serialization import serialize_message
from rclpy.utilities import get_rmw_implementation_identifier
from std_msgs.msg import Header

_TRIED = ("rmw_fastrtps_cpp",)
"""Middlewares that this was tried on: the default of every supported ROS. Others get messages as rclpy sends them."""
_STAMP = struct.Struct("=iI")
_SENTINEL = (0x5A3C96E1, 0x2D87B41F)
_ALIGNMENT = 64


class _Bytes(ctypes.Structure):
    """``rcutils_uint8_array_t``, the same from Humble on; its allocator is not used for reading."""

    _fields_ = (
        ("buffer", ctypes.c_void_p),
        ("buffer_length", ctypes.c_size_t),
        ("buffer_capacity", ctypes.c_size_t),
        ("allocator", ctypes.c_void_p * 5),
    )


class SerializedMessage:
    """A message with a header and one large array of bytes, ``data``, as it is sent.

    Args:
        message: the message, with ``data`` of the array's size; it belongs to this object from here on.
        shape: the array's shape.
        dtype: its dtype.

    Attributes:
        array: the array, in the bytes that are sent.
    """

    def __init__(self, message: Any, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Serialise the message."""
        self._message = message
        self._shape, self._dtype, self._size = shape, dtype, len(message.data)
        self._serialize(message.header.frame_id)

    def with_header(self, header: Any) -> SerializedMessage:
        """Return this message with another header."""
        if header.frame_id != self._message.header.frame_id:
            values = self.array
            self._serialize(header.frame_id)
            self.array[...] = values
        _STAMP.pack_into(self._buffer.data, self._stamp_at, header.stamp.sec, header.stamp.nanosec)
        return self

    def publish(self, publisher: Any) -> None:
        """Publish the message.

        Raises:
            RuntimeError: rclpy's own error of a message that cannot be published.
        """
        calls = _calls()
        if calls is not None and publisher.is_activated:
            publish, clear_error = calls
            with publisher.handle:
                if not publish(publisher.handle.pointer, ctypes.byref(self._bytes), None):
                    return
            clear_error()
        # Says what is wrong, or drops the message where the publisher is not active.
        publisher.publish(self._buffer.tobytes())

    def _serialize(self, frame_id: str) -> None:
        # Stamp and data get values that occur nowhere else, which show where the two lie among the serialised bytes.
        pattern = np.random.default_rng(0).bytes(self._size)
        data = self._message.data
        del data[:]
        data.frombytes(pattern)
        self._message.header = Header(frame_id=frame_id)
        self._message.header.stamp.sec, self._message.header.stamp.nanosec = _SENTINEL
        serialized = serialize_message(self._message)
        del data[:]
        self._stamp_at = serialized.index(_STAMP.pack(*_SENTINEL))
        start = serialized.rindex(pattern)
        memory = np.empty(len(serialized) + _ALIGNMENT, np.uint8)
        first = -(memory.ctypes.data + start) % _ALIGNMENT
        self._buffer = memory[first : first + len(serialized)]
        self._buffer[:] = np.frombuffer(serialized, np.uint8)
        self._bytes = _Bytes(self._buffer.ctypes.data, len(serialized), len(serialized))
        payload = self._buffer[start : start + self._size]
        payload[:] = 0
        self.array = payload.view(self._dtype).reshape(self._shape)


def can_publish_bytes() -> bool:
    """Return whether :class:`SerializedMessage` has something to gain here: rcl's own call."""
    return _calls() is not None


@functools.cache
def _calls() -> tuple[Callable[..., int], Callable[[], None]] | None:
    """Return rcl's function that publishes bytes, and the one that clears its error; None if there are none here."""
    if get_rmw_implementation_identifier() not in _TRIED:
        return None
    try:
        # The libraries that rclpy has loaded; never a second copy of them.
        rcl, rcutils = (ctypes.CDLL(f"lib{name}.so", mode=os.RTLD_NOLOAD | os.RTLD_NOW) for name in ("rcl", "rcutils"))
        publish, clear_error = rcl.rcl_publish_serialized_message, rcutils.rcutils_reset_error
    except (OSError, AttributeError):
        return None
    publish.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Bytes), ctypes.c_void_p)
    publish.restype = ctypes.c_int
    clear_error.argtypes, clear_error.restype = (), None
    return publish, clear_error
