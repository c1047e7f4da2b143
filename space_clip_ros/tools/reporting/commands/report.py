"""``space_clip report``: shows a run or a bag on one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from space_clip_ros.cli.options import refuse_sources
from space_clip_ros.config import CROPS, EvaluatorConfig


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand's options."""
    default = EvaluatorConfig()
    parser = subparsers.add_parser(
        "report",
        help="show a run or a bag on one page, and as a film",
        description="Write a report of a recording as one HTML page that needs no network: summary, latency and rate "
        "over time, errors by distance and image region, the worst and the median frames with their errors, and an "
        "interactive cloud.",
        epilog="example: space_clip report out/demo --out report.html --video drive.mp4",
    )
    parser.add_argument(
        "source", type=Path, metavar="RUN_OR_BAG", help="folder that ./demo.sh wrote, or a rosbag2 with depth images"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="page to write, such as report.html")
    parser.add_argument("--video", type=Path, metavar="FILE", help="also write image and depth side by side, as an MP4")
    for name, what in (
        ("depth", "depth images (default: the topic that ends in depth/image)"),
        ("image", "camera images (default: image beside it, raw or compressed)"),
        ("camera-info", "camera calibration (default: camera_info beside it)"),
        ("truth", "true depth (default: ground_truth/image beside it)"),
    ):
        parser.add_argument(f"--{name}", default="", metavar="TOPIC", help=what)
    parser.add_argument(
        "--crop",
        choices=CROPS,
        default=default.crop,
        help="image region to compare (default %(default)s)",
    )
    parser.add_argument(
        "--max-depth",
        type=float,
        default=default.max_depth,
        metavar="M",
        help="largest depth to compare, metres (default %(default)g)",
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Write the page, and the film if requested."""
    from space_clip_ros.cli.console import callback, progress_bar, say
    from space_clip_ros.errors import InputError
    from space_clip_ros.files import check_output_files
    from space_clip_ros.tools.reporting.recording import Topics, find_source
    from space_clip_ros.tools.reporting.report import ReportOptions, write_report

    if args.video and args.video.suffix != ".mp4":
        raise InputError("--video", f"the film is an MP4, so its name must end in .mp4, got {args.video}")
    check_output_files(args.out, args.video)
    refuse_sources(args, *find_source(args.source).files(), names=("out", "video"))
    topics = Topics(depth=args.depth, image=args.image, truth=args.truth, camera_info=args.camera_info)
    evaluator = EvaluatorConfig(crop=args.crop, max_depth=args.max_depth)
    with progress_bar(0, "reading") as bar:
        written = write_report(args.source, args.out, ReportOptions(topics, evaluator, video=args.video), callback(bar))
    for note in written.missing:
        say(f"note: {note}")
    if args.video:
        say(f"{args.video}: {written.film_frames} frames")
    say(f"{args.out}: {written.frames} frames, {written.size / 1e6:.1f} MB")
    return 0
