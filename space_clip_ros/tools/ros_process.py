"""Commands that are ROS nodes: the node replaces the command's process, so it gets the signals and sets the status."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def become(module: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process with ``python -m space_clip_ros.MODULE``.

    Args:
        module: one of those named in :mod:`space_clip_ros.tools.executables`.
        arguments: its command line.

    Raises:
        ModuleNotFoundError: rclpy is not installed.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ModuleNotFoundError("No module named 'rclpy'", name="rclpy")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"space_clip_ros.{module}", *arguments])
