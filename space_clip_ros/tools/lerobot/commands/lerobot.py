"""``space_clip lerobot``: turn bags with depth into a data set of LeRobot."""

from __future__ import annotations

import argparse
from pathlib import Path

from space_clip_ros.tools.lerobot.options import DEPTH_UNITS, IMAGE_FORMATS, ConversionOptions


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand's options."""
    defaults = ConversionOptions()
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
    parser.add_argument("--depth", nargs="+", metavar="TOPIC", help="topics of depth images (default: all of them)")
    parser.add_argument("--task", default=defaults.task, help="what the robot does (default: %(default)s)")
    parser.add_argument("--fps", type=int, default=defaults.fps, help="frames per second (default: the recording's)")
    parser.add_argument(
        "--max-gap",
        type=float,
        default=defaults.max_gap_s,
        metavar="SECONDS",
        help="a longer gap between frames starts a new episode (default: %(default)s)",
    )
    parser.add_argument(
        "--image-format",
        choices=IMAGE_FORMATS,
        default=defaults.image_format,
        help="format of colour images (default: %(default)s)",
    )
    parser.add_argument(
        "--depth-unit",
        choices=DEPTH_UNITS,
        default=defaults.depth_unit,
        help="mm: 16-bit PNG, up to 65.535 m; m: 32-bit TIFF, exact (default: %(default)s)",
    )
    parser.add_argument(
        "--points", type=int, default=defaults.points, metavar="STRIDE", help="add a cloud of every n-th pixel"
    )


def run(args: argparse.Namespace) -> int:
    """Write the data set, and print what it holds."""
    from space_clip_ros.cli.console import callback, complain, progress_bar, say
    from space_clip_ros.tools.lerobot.conversion import write_dataset

    options = ConversionOptions(
        tuple(args.depth or ()),
        args.task,
        args.fps,
        args.max_gap,
        args.image_format,
        args.depth_unit,
        args.points,
    )
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
