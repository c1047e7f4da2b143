"""Message definitions of the installed ROS, for bags to carry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from space_clip_ros.files import share_folders
from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.ros.common.release import ros_release


class Definition(NamedTuple):
    """A message type's full text, with the types it contains, and its hash (REP 2016)."""

    text: str
    type_hash: str


def known_definition(kind: str) -> Definition:
    """Return the definition of one of ROS's own types, which :data:`~space_clip_ros.messages.bag_types.TYPES` has."""
    return _definition(TYPES, kind)


class Definitions:
    """Finds definitions of ROS's own types in ``rosbags``, and of others in their packages' ``.msg`` files."""

    def __init__(self) -> None:
        """Load the types of the release in use; the latest ones if it is unknown."""
        release = f"ROS2_{ros_release(os.environ).upper()}"
        self._types = get_typestore(Stores.__members__.get(release, Stores.LATEST))

    def find(self, kind: str) -> Definition | None:
        """Return the definition of a type such as ``sensor_msgs/msg/Image``; None if it is not found."""
        if kind not in self._types.fielddefs:
            types: dict[str, Any] = {}
            if not self._collect(kind, types):
                return None
            self._types.register(types)
        return _definition(self._types, kind)

    def _collect(self, kind: str, types: dict[str, Any]) -> bool:
        """Read a type and every type in it into ``types``; return False if a file is missing."""
        if kind in self._types.fielddefs or kind in types:
            return True
        text = _installed_text(kind)
        if text is None:
            return False
        types.update(get_types_from_msg(text, kind))
        _, fields = types[kind]
        return all(self._collect(name, types) for _, description in fields for name in _names(description))


def _definition(types: Typestore, kind: str) -> Definition:
    return Definition(types.generate_msgdef(kind, ros_version=2)[0], types.hash_rihs01(kind))


def _names(description: Any) -> Iterator[str]:
    """Yield the message types in a field's description, also those inside arrays and sequences."""
    node, value = description
    if node == Nodetype.NAME:
        yield value
    elif node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        yield from _names(value[0])


def _installed_text(kind: str) -> str | None:
    package, _, name = kind.partition("/msg/")
    for folder in share_folders(package):
        file = folder / "msg" / f"{name}.msg"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None
