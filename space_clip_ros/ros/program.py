"""What the programs around a bag share before ROS is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from space_clip_ros.ros import dds


def carry_large_messages() -> None:
    """Use the shipped DDS profile, which carries whole images and clouds, where there is shared memory for it."""
    profile = dds.shared_file("config/fastdds.xml")
    if dds.fits(profile, 1, dds.free_shared_memory()):
        os.environ.update(dds.profile_environment(os.environ, profile))


def split_arguments(args: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Split a command line, None for the process's own, where ROS's own arguments begin."""
    words = list(sys.argv[1:] if args is None else args)
    start = words.index("--ros-args") if "--ros-args" in words else len(words)
    return words[:start], words[start:]
