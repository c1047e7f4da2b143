"""Definitions of the message types of the ROS installed here, for bags that carry them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from space_clip_ros.files import share_folders
from space_clip_ros.tools.bags.writer import Definition

# The wheels do not say which release they are; they are of this one.
_WHEELS = "kilted"


class Definitions:
    """Looks definitions up: ROS's own types in ``rosbags``, others in the ``.msg`` files of their packages."""

    def __init__(self) -> None:
        """Start with the types of the release that is sourced."""
        release = f"ROS2_{os.environ.get('ROS_DISTRO', _WHEELS).upper()}"
        self._types = get_typestore(Stores.__members__.get(release, Stores.LATEST))

    def find(self, kind: str) -> Definition | None:
        """Return the definition of a type such as ``sensor_msgs/msg/Image``; None where there is none to be found."""
        if kind not in self._types.fielddefs:
            found: dict[str, Any] = {}
            if not self._collect(kind, found):
                return None
            self._types.register(found)
        return Definition(self._types.generate_msgdef(kind, ros_version=2)[0], self._types.hash_rihs01(kind))

    def _collect(self, kind: str, found: dict[str, Any]) -> bool:
        """Read a type and all that it is made of into ``found``; False where a file is missing."""
        if kind in self._types.fielddefs or kind in found:
            return True
        text = _installed_text(kind)
        if text is None:
            return False
        found.update(get_types_from_msg(text, kind))
        _, fields = found[kind]
        return all(self._collect(name, found) for _, description in fields for name in _names(description))


def _names(description: Any) -> Iterator[str]:
    """Yield the message types in a field's description, inside arrays and sequences too."""
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
