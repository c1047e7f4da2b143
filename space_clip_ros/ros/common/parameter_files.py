"""Finds parameters that the node ignores: misspelt ones, and those in files for a node of another name."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rclpy.node import Node

from space_clip_ros.errors import ConfigError
from space_clip_ros.ros_parameters import matches, node_groups
from space_clip_ros.settings import as_mapping, read_yaml

# What rclpy itself takes.
_OF_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides.")


def given_parameters(node: Node) -> Mapping[str, Any]:
    """Return what the command line, parameter files and launch files gave for a node, by name."""
    # rclpy keeps it under this name since Foxy.
    return getattr(node, "_parameter_overrides", {})


def ignored_parameters(node: Node, known: Iterable[str]) -> list[str]:
    """Return a line for each parameter that was set but that the node does not have.

    Args:
        node: the node, its parameters declared.
        known: the names of its parameters.
    """
    names = list(known)
    lines = []
    for name in given_parameters(node):
        if name in names or name.startswith(_OF_ROS):
            continue
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else "see ros2 param list"
        lines.append(f"parameter {name} is ignored: this node has no such parameter; {hint}")
    return lines


def files_for_other_nodes(node: Node, arguments: Sequence[str] | None = None) -> list[str]:
    """Return a line for each parameter file on the command line that has nothing for a node.

    Args:
        node: the node.
        arguments: the command line; None for the process's own.

    Raises:
        ConfigError: a file holds something else than names with values.
    """
    lines = []
    for path in _parameter_files(sys.argv if arguments is None else arguments):
        try:
            content = read_yaml(Path(path), "")
        except ConfigError:
            # rclpy has refused such a file already.
            continue
        # rclpy takes a file of plain text for an empty one.
        keys = [key for key, _ in node_groups(as_mapping(path, content, "see config/depth.yaml"))]
        own = node.get_fully_qualified_name()
        if keys and not any(matches(key, own) for key in keys):
            lines.append(
                f"{path} has parameters for {', '.join(keys)} and none for this node, which is {own}: they are "
                f"ignored; begin the file with {own.strip('/').rpartition('/')[2]}: or /**:"
            )
    return lines


def _parameter_files(arguments: Sequence[str]) -> list[str]:
    return [value for name, value in itertools.pairwise(arguments) if name == "--params-file"]
