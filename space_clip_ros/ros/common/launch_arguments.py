"""Launch arguments, which are always text, as what they mean; needs no launch library."""

from __future__ import annotations

from pathlib import Path

from space_clip_ros.config import CAMERA_NAME
from space_clip_ros.errors import ConfigError, InputError
from space_clip_ros.settings import as_mapping, read_yaml

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
