"""``space_clip synthesize``: write synthetic drives in KITTI raw's layout."""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand's options."""
    parser = subparsers.add_parser(
        "synthesize",
        help="write synthetic drives with exact depth",
        description="Write synthetic drives in KITTI raw's layout: images, laser scans, exact depth, calibration.",
        epilog="example: space_clip synthesize --out drives --frames 50 --seed 1 --drives 4",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to; created if missing")
    parser.add_argument("--frames", type=int, default=50, metavar="N", help="frames per drive (default 50)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the first drive (default 0)")
    parser.add_argument(
        "--drives", type=int, default=1, metavar="K", help="number of drives; each takes the next seed (default 1)"
    )
    parser.add_argument(
        "--stride", type=int, default=1, metavar="N", help="take every N-th frame of a 10 Hz drive (default 1)"
    )
    parser.add_argument(
        "--layout",
        help="city, residential, country, highway, avenue, woods, old_town, parking or gardens (default: random, by"
        " seed; woods, old_town and parking only with --vary streets, gardens never)",
    )
    parser.add_argument(
        "--vary",
        nargs="+",
        default=[],
        metavar="WHAT",
        help="camera: another height, tilt and lens for each drive; shape: pictures from 4:3 to 16:9 (with either, each"
        " drive has its own day's folder); streets: more kinds of streets, weather and close road users (default:"
        " none of them)",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="F",
        help="size of the pictures, as a share (0.1 to 1) of KITTI's 1242 x 375; small ones are faster (default 1)",
    )
    parser.add_argument(
        "--labels", action="store_true", help="write the class of every pixel too, into proj_label (docs/synthetic.md)"
    )
    parser.add_argument("--no-scans", dest="scans", action="store_false", help="leave out the laser scans")


def run(args: argparse.Namespace) -> int:
    """Write the drives, print their folders, then print the speed."""
    from space_clip_ros.cli.console import progress_bar, say
    from space_clip_ros.errors import InputError
    from space_clip_ros.synthetic.drive import write_drive

    if args.drives < 1:
        raise InputError(f"--drives must be at least 1, got {args.drives}")
    began, busy = time.perf_counter(), time.process_time()
    with progress_bar(args.drives * args.frames, "drawing") as bar:
        for number in range(args.drives):
            drive = write_drive(
                args.out,
                args.frames,
                args.seed + number,
                stride=args.stride,
                layout=args.layout,
                scans=args.scans,
                vary=args.vary,
                scale=args.scale,
                labels=args.labels,
                progress=lambda done, total: bar.update(),
            )
            say(str(drive))
    frames, wall = args.drives * args.frames, time.perf_counter() - began
    say(f"{frames / wall:.1f} frames/s, {1e3 * (time.process_time() - busy) / frames:.0f} ms of CPU time a frame")
    return 0
