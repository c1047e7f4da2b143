"""``space_clip record``: record topics into a bag."""

from __future__ import annotations

import argparse

from space_clip_ros.tools.bags.options import RecordOptions


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand's options."""
    parser = subparsers.add_parser(
        "record",
        help="record topics into a bag, without rosbag2",
        description="Record topics into a rosbag2 until Ctrl-C; no rosbag2 needed. Foxglove and RViz open the result. "
        "A running depth_node computes every topic that is recorded, so name those that you need.",
        epilog="example: space_clip record /image /camera_info /depth/image /depth/points --out run_1",
    )
    RecordOptions.add_to(parser)


def run(args: argparse.Namespace) -> int:
    """Replace this process by the node, which ends at Ctrl-C or after the duration."""
    from space_clip_ros.tools.executables import BAG_RECORD
    from space_clip_ros.tools.ros_process import become

    return become(BAG_RECORD, RecordOptions.parsed(args).arguments())
