"""Removes the names of users, hosts and private folders from texts, so that a public bug report can hold them."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HOMES = re.compile(r"/(?:home|Users)/[^/\s:;,'\")\]]+")
_COMMON = {"localhost", "ubuntu", "debian", "nvidia", "jetson", "robot", "docker", "linux"}
"""Host names that are not removed: they identify nobody, and the report uses some of them as words."""
_SHORTEST_NAME = 4
_SYSTEM = ("/", "/usr", "/usr/local")


def without_private(value: Any, *folders: Path) -> Any:
    """Return a value without home and installation folders and without this machine's name.

    Args:
        value: texts, numbers, and nested lists and mappings of them, as JSON holds them.
        folders: more private folders; files in them keep only their names.
    """
    host = socket.gethostname().partition(".")[0]
    secret = len(host) >= _SHORTEST_NAME and host.lower() not in _COMMON
    hosts = re.compile(rf"(?<![\w-]){re.escape(host)}(?:\.[\w.-]+)?(?![\w-])") if secret else None

    def clean(text: str) -> str:
        for folder in folders:
            if str(folder) not in (".", "/"):
                text = text.replace(f"{folder}/", "")
        for place, name in _places().items():
            text = re.sub(rf"{re.escape(place)}(?![\w.-])", name, text)
        text = _HOMES.sub("~", text)
        return hosts.sub("HOST", text) if hosts else text

    return _each_text(value, clean)


def _each_text(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return change(data)
    if isinstance(data, dict):
        return {change(str(key)): _each_text(value, change) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_each_text(value, change) for value in data]
    return data


def _places() -> dict[str, str]:
    """Return folders and their replacements, the longest first, because one may lie in another."""
    package = Path(__file__).resolve().parents[3]
    named = {str(package): "PACKAGE", sys.prefix: "PYTHON", str(Path.home()): "~"}
    return {place: named[place] for place in sorted(named, key=len, reverse=True) if place not in _SYSTEM}
