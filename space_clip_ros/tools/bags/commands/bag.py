"""``space_clip bag``: convert a KITTI raw drive into a rosbag2."""

from __future__ import annotations

import argparse
from pathlib import Path

from space_clip_ros.tools.bags.options import BagOptions


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand's options."""
    parser = subparsers.add_parser(
        "bag",
        help="turn a KITTI raw drive into a rosbag2",
        description="Turn a KITTI raw drive, or a synthetic one, into a rosbag2 folder that ros2 bag play, RViz and "
        "Foxglove open: images, camera_info, scans, true depth, transforms; GPS and IMU where the drive has them.",
        epilog="example: space_clip bag 2011_09_26/2011_09_26_drive_0005_sync --out drive_0005 --compressed jpeg",
    )
    parser.add_argument("drive", type=Path, metavar="DRIVE_DIR", help="the drive's folder (..._drive_NNNN_sync)")
    parser.add_argument("--out", type=Path, required=True, metavar="BAG", help="folder to write, which must not exist")
    BagOptions.add_to(parser)


def run(args: argparse.Namespace) -> int:
    """Write the bag, then print its path and how many messages each topic has."""
    from space_clip_ros.cli.console import callback, progress_bar, say
    from space_clip_ros.tools.bags.kitti_to_bag import write_bag

    options = BagOptions.parsed(args)
    with progress_bar(0, "writing") as bar:
        counts = write_bag(args.drive, args.out, options, callback(bar))
    for topic, count in sorted(counts.items()):
        say(f"{count:6d}  {topic}")
    say(f"{args.out}")
    return 0
