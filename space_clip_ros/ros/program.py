"""What the programs around a bag share before ROS is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from space_clip_ros.ros import dds


def carry_large_messages() -> None:
    """Use the shipped DDS profile, which carries whole images and clouds, where there is shared memory for it."""
    os.environ.update(dds.shipped_environment(os.environ, dds.shared_file("config/fastdds.xml").parent, 1))


def split_arguments(args: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Split a command line, None for the process's own, where ROS's own arguments begin."""
    words = list(sys.argv[1:] if args is None else args)
    start = words.index("--ros-args") if "--ros-args" in words else len(words)
    return words[:start], words[start:]
