"""Launch arguments, which are always text, as what they mean; needs no launch library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from space_clip_ros.config import CAMERA_NAME
from space_clip_ros.errors import ConfigError, InputError
from space_clip_ros.settings import as_mapping, read_yaml

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
TRANSPORTS = ("raw", "compressed")

_TOPIC = re.compile(r"(~?/)?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
_TRUTHS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def truth(name: str, text: str) -> bool | None:
    """Return whether an argument says yes; None where it is empty.

    Raises:
        InputError: it says neither yes nor no.
    """
    word = text.strip().lower()
    if word and word not in _TRUTHS:
        raise InputError(name, f"must be true or false, got {text!r}")
    return _TRUTHS.get(word)


def filled(given: Mapping[str, str], declared: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return the arguments' values; an empty one is its default.

    Args:
        given: all arguments, as launch has them.
        declared: default and description by name.
    """
    return {**given, **{name: given[name].strip() or default for name, (default, _) in declared.items()}}


def choice(name: str, text: str, choices: Sequence[str]) -> str:
    """Return an argument that must be one of these, or empty.

    Raises:
        InputError: it is not.
    """
    if text and text not in choices:
        raise InputError(name, f"must be one of {', '.join(choices)}, got {text!r}")
    return text


def topic(name: str, text: str) -> str:
    """Return the name of a topic.

    Raises:
        InputError: ROS allows no such name, or it is that of the compressed images beside a topic.
    """
    if not _TOPIC.fullmatch(text):
        raise InputError(name, f"must be letters, digits and _, with slashes between them, got {text!r}")
    if text.endswith("/compressed"):
        plain = text.removesuffix("/compressed")
        raise InputError(name, f"is {text}", f"give {plain}, with image_transport:=compressed")
    return text


def number(name: str, text: str) -> float:
    """Return an argument that must be a number above zero.

    Raises:
        InputError: it is not.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise InputError(name, f"must be a number above 0, got {text!r}")
    return value


def folder(name: str, text: str) -> str:
    """Return the path of a folder that is there.

    Raises:
        InputError: it is not.
    """
    if not Path(text).is_dir():
        raise InputError(name, f"{text} is no folder", "check the path")
    return text


def parameter_file(name: str, text: str) -> str:
    """Return the path of a file of ROS parameters.

    Raises:
        InputError: there is no such file, or it is not a YAML mapping.
    """
    path = Path(text).expanduser()
    if not path.is_file():
        raise InputError(name, f"{path} is not there", "check the path")
    as_mapping(f"{name}: {path}", _content(path), "see config/depth.yaml", InputError)
    return str(path)


def camera_names(text: str) -> list[str]:
    """Return the names in a list with commas; blanks around them do not count.

    Raises:
        InputError: a name that no topic can begin with, or a repeated one.
    """
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    for name in names:
        if not CAMERA_NAME.fullmatch(name):
            raise InputError(
                "cameras", f"names are made of letters, digits and _ and begin with a letter, got {name!r}"
            )
    if len(set(names)) < len(names):
        raise InputError("cameras", f"every camera needs a name of its own, got {text!r}")
    return names


def topic_below_cameras(name: str, topic: str) -> str:
    """Return a topic's name if it can stand below each camera's.

    Raises:
        InputError: an absolute name.
    """
    if topic.startswith("/"):
        raise InputError(
            name,
            f"is {topic}, which starts with a slash, and so would be the same topic for every camera",
            f"give the name below each camera's, such as {topic.rpartition('/')[2] or name}",
        )
    return topic


def simulated_time(params_file: str) -> bool:
    """Return whether a parameter file sets ``use_sim_time`` to true for any node."""
    return any(value is True for value in _values(_content(Path(params_file)), "use_sim_time"))


def _content(params_file: Path) -> object:
    """Return what a parameter file holds; None if it is not YAML, which the node itself will refuse."""
    try:
        return read_yaml(params_file, "")
    except ConfigError:
        return None


def _values(content: object, name: str) -> list[object]:
    if not isinstance(content, dict):
        return []
    own = [content[name]] if name in content else []
    return own + [value for item in content.values() for value in _values(item, name)]
