"""Commands that are ROS nodes: the command's process becomes the node's, so that signals and status are its own."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def become(module: str, arguments: Sequence[str]) -> NoReturn:
    """Run ``python -m space_clip_ros.<module>`` in this process's place.

    Raises:
        ModuleNotFoundError: there is no ROS 2 here.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ModuleNotFoundError("No module named 'rclpy'", name="rclpy")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"space_clip_ros.{module}", *arguments])
