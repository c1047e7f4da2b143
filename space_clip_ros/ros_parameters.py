"""Reads from a ROS parameter file the parameters that apply to a node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from space_clip_ros.errors import ConfigError
from space_clip_ros.settings import as_mapping, read_yaml

_OF_ROS = ("use_sim_time", "qos_overrides")


def node_values(path: Path, node: str) -> dict[str, Any]:
    """Return the parameters that a file has for a node in any namespace, by their dotted names.

    Parameters that every ROS node has are left out.

    Raises:
        ConfigError: the file cannot be read, or has parameters for no such node, or for several.
    """
    content = read_yaml(path, "give a file of ROS parameters")
    groups = list(node_groups(as_mapping(path, content, "see config/depth.yaml")))
    # Wildcards first, so that the node's own parameters override them.
    fitting = sorted(
        (group for group in groups if _fits_anywhere(group[0], node)), key=lambda group: "*" not in group[0]
    )
    named = [name for name, _ in fitting if "*" not in name]
    if not fitting:
        has = ", ".join(name for name, _ in groups) or "no node"
        raise ConfigError(path, f"has parameters for {has} and none for {node}", "see config/depth.yaml")
    if len(named) > 1:
        raise ConfigError(path, f"has parameters for {', '.join(named)}", "keep only one of them")
    values: dict[str, Any] = {}
    for name, parameters in fitting:
        if not isinstance(parameters, dict):
            raise ConfigError(path, f"{name}: ros__parameters must be names with values")
        values.update(_flat(parameters))
    return {name: value for name, value in values.items() if name.partition(".")[0] not in _OF_ROS}


def node_groups(content: Any, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each node's full name or pattern in a parameter file, and its ``ros__parameters``.

    Args:
        content: the file's content; namespaces may be levels of their own.
        prefix: the namespace of the content.
    """
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        name = f"{prefix}/{str(key).strip('/')}"
        if isinstance(value, dict) and "ros__parameters" in value:
            yield name, value["ros__parameters"] or {}
        else:
            yield from node_groups(value, name)


def matches(pattern: str, name: str) -> bool:
    """Return whether a pattern fits a node's full name; ``*`` is one level and ``**`` any number of levels."""
    return _fits(pattern.strip("/").split("/"), name.strip("/").split("/"))


def _fits(pattern: Sequence[str], name: Sequence[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return any(_fits(pattern[1:], name[count:]) for count in range(len(name) + 1)) or len(pattern) == 1
    return bool(name) and pattern[0] in ("*", name[0]) and _fits(pattern[1:], name[1:])


def _fits_anywhere(pattern: str, node: str) -> bool:
    """Return whether a name or pattern fits a node in some namespace."""
    return matches(pattern, pattern.rpartition("/")[0].replace("*", "any") + f"/{node}")


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return parameters by their dotted names; a ROS parameter file may nest them or write dots."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
