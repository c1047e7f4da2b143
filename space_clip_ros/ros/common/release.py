"""Which ROS 2 release is in use; without importing any of it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

_BY_RCLPY = {"7": "jazzy", "9": "kilted"}
"""The releases that come as wheels, by the first number of their rclpy."""


def ros_release(environment: Mapping[str, str]) -> str:
    """Return the sourced release such as ``humble``, else that of the installed wheels, which do not set ROS_DISTRO.

    Empty if neither is known.
    """
    return environment.get("ROS_DISTRO") or _release_of_wheels()


def _release_of_wheels() -> str:
    try:
        return _BY_RCLPY.get(importlib.metadata.version("rclpy").partition(".")[0], "")
    except importlib.metadata.PackageNotFoundError:
        return ""
