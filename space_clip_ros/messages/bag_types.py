"""Message classes of ``rosbags``, for bags that are read and written without ROS."""

from __future__ import annotations

from typing import Any

from rosbags.typesys import Stores, get_typestore

TYPES = get_typestore(Stores.ROS2_HUMBLE)
"""Message types as Humble has them; those used here have been the same on the wire ever since."""


class BagTypes:
    """Makes messages as ``rosbags`` has them; their arrays share memory with what they are made from."""

    def make(self, kind: str, **fields: Any) -> Any:
        """Return a message; every field must be given. See :class:`~space_clip_ros.messages.types.MessageTypes`."""
        return TYPES.types[kind](**fields)


BAGS = BagTypes()
"""For the builders of this room."""
