"""Message classes: those of the installed ROS, or others with the same fields."""

from __future__ import annotations

import array
import functools
import importlib
from typing import Any, Protocol

import numpy as np


class MessageTypes(Protocol):
    """Makes messages. The builders of this room take one, so each message is described in one place."""

    def make(self, kind: str, **fields: Any) -> Any:
        """Return a message.

        Args:
            kind: its type, such as ``sensor_msgs/msg/Image``.
            fields: its fields by name; sequences of numbers are NumPy arrays of the field's own dtype.
        """
        ...


class InstalledTypes:
    """The classes of the ROS message packages installed here; they are imported with the first message."""

    def make(self, kind: str, **fields: Any) -> Any:
        """Return a message; see :class:`MessageTypes`.

        Raises:
            ImportError: the message's package is not installed.
        """
        message = message_class(kind)()
        for name, value in fields.items():
            if isinstance(value, np.ndarray) and isinstance(getattr(message, name), array.array):
                # Straight into the message's own memory: assigning bytes or an ndarray makes rclpy look at every value
                # (160 ms for an image), and even an array.array is copied once more by some ROS versions.
                if value.size:
                    getattr(message, name).frombytes(np.ascontiguousarray(value).data.cast("B"))
            else:
                setattr(message, name, value)
        return message


@functools.cache
def message_class(kind: str) -> Any:
    """Return the class of a message type such as ``sensor_msgs/msg/Image``.

    Raises:
        ModuleNotFoundError: its package is not installed.
        ImportError: the package has no such message, or ``kind`` is not a message type.
    """
    package, _, name = kind.partition("/msg/")
    if not package or not name:
        raise ImportError(f"{kind!r} is not a message type, PACKAGE/msg/NAME")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except AttributeError as error:
        raise ImportError(f"{package} has no message {name}", name=package) from error


ROS = InstalledTypes()
"""The builders' default."""
