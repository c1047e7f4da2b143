"""Launch arguments, which are always text, as what they mean; needs no launch library."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from space_clip_ros.errors import InputError

_TRUTHS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_CAMERA_NAME = re.compile(r"[A-Za-z]\w*")


def truth(name: str, text: str) -> bool | None:
    """Return whether an argument says yes; None where it is empty.

    Raises:
        InputError: it says neither yes nor no.
    """
    word = text.strip().lower()
    if word and word not in _TRUTHS:
        raise InputError(name, f"must be true or false, got {text!r}")
    return _TRUTHS.get(word)


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


def existing_file(name: str, text: str) -> str:
    """Return the path of a file.

    Raises:
        InputError: there is no such file.
    """
    path = Path(text).expanduser()
    if not path.is_file():
        raise InputError(name, f"{path} is not there", "check the path")
    return str(path)


def camera_names(text: str) -> list[str]:
    """Return the names in a list with commas; blanks around them do not count.

    Raises:
        InputError: a name that no topic can begin with, or one that stands twice.
    """
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    for name in names:
        if not _CAMERA_NAME.fullmatch(name):
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
    """Return what a parameter file says of ``use_sim_time``, for whichever node; false where it says nothing."""
    try:
        content = yaml.safe_load(Path(params_file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return any(value is True for value in _values(content, "use_sim_time"))


def _values(content: object, name: str) -> list[object]:
    if not isinstance(content, dict):
        return []
    own = [content[name]] if name in content else []
    return own + [value for item in content.values() for value in _values(item, name)]
