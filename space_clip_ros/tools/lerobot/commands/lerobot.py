"""``space_clip lerobot``: turn bags with depth into a data set of LeRobot."""

from __future__ import annotations

import argparse
from pathlib import Path

from space_clip_ros.tools.lerobot.options import ConversionOptions


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand's options."""
    parser = subparsers.add_parser(
        "lerobot",
        help="turn bags with depth into a LeRobot data set",
        description="Turn bags with depth, from predict --bag or a recording of depth_node, into a LeRobot data "
        "set of format v3.0: colour images, depth with its intrinsics, and optionally clouds. Each bag is an episode, "
        "or several where it has long gaps.",
        epilog="example: space_clip lerobot drive_0005_depth --out drive_0005_lerobot --task 'Drive through a town.'",
    )
    parser.add_argument("bags", type=Path, nargs="+", metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DATASET", help="folder to write, which must not exist"
    )
    ConversionOptions.add_to(parser)


def run(args: argparse.Namespace) -> int:
    """Write the data set, and print what it holds."""
    from space_clip_ros.cli.console import callback, complain, progress_bar, say
    from space_clip_ros.tools.lerobot.conversion import write_dataset

    options = ConversionOptions.parsed(args)
    with progress_bar(0, "writing") as bar:
        written = write_dataset(args.bags, args.out, options, callback(bar), complain)
    frames, episodes = sum(written.episodes), len(written.episodes)
    counted = f"{episodes} episode" if episodes == 1 else f"{episodes} episodes"
    say(f"{frames} frames in {counted} at {written.fps} a second, of {', '.join(written.cameras)}")
    if written.left_out:
        say(f"{written.left_out} frames left out")
    if written.too_far:
        say(f"{written.too_far} pixels beyond 65.535 m became invalid; --depth-unit m keeps them")
    say(f"{args.out}")
    return 0
