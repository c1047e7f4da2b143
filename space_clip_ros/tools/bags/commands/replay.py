"""``space_clip replay``: play a bag over DDS."""

from __future__ import annotations

import argparse

from space_clip_ros.tools.bags.options import ReplayOptions


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand's options."""
    parser = subparsers.add_parser(
        "replay",
        help="play a bag over ROS 2, without rosbag2",
        description="Play a rosbag2 over ROS 2 with its own timing; no rosbag2 needed.",
        epilog="example: space_clip replay drive_0005 --rate 0.5 --loop --clock --topics /image /camera_info",
    )
    ReplayOptions.add_to(parser)


def run(args: argparse.Namespace) -> int:
    """Replace this process by the node, which ends with the bag or at Ctrl-C."""
    from space_clip_ros.tools.executables import BAG_REPLAY
    from space_clip_ros.tools.ros_process import become

    return become(BAG_REPLAY, ReplayOptions.parsed(args).arguments())
