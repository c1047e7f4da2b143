"""The installed executables; they answer Ctrl-C and SIGTERM quietly from the first moment.

Importing ROS and the model's runtime takes a while, and a signal in that while would end in a traceback. Once a node
runs, ``spin`` takes over. Nothing heavy may be imported here.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any


def depth_node() -> None:
    """Run ``depth_node``."""
    _start("depth_node")


def kitti_player() -> None:
    """Run ``kitti_player``."""
    _start("kitti_player")


def depth_evaluator() -> None:
    """Run ``depth_evaluator``."""
    _start("depth_evaluator")


def bag_replay() -> None:
    """Run ``replay``, by a name that says what is played."""
    _start("replay", "bag_replay")


def live_view() -> None:
    """Run ``view``, by a name that says what it shows."""
    _start("view", "live_view")


def _start(module: str, name: str = "") -> None:
    def farewell(*_: Any) -> None:
        sys.stdout.write(f"{name or module}: stopped before it started\n")
        sys.stdout.flush()
        os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, farewell)
    sys.exit(importlib.import_module(f"space_clip_ros.ros.{module}").main())
