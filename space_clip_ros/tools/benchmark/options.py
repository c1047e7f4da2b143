"""Options that ``space_clip benchmark`` hands on to its end-to-end part, a process of its own."""

from __future__ import annotations

import argparse

from space_clip_ros.cli.options import add_setting, add_settings, positive, rate_hz
from space_clip_ros.config import RUNNING, NodeConfig

ALSO = ("depth/color", "depth/uncertainty")
"""Outputs that can be subscribed to beside depth and cloud, end to end."""

_SETTINGS = ("model", *RUNNING)
_RATE_HZ = 10.0
_FRAMES = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, how it runs, and what the sender sends."""
    add_settings(parser, NodeConfig, *_SETTINGS)
    parser.add_argument(
        "--frames", type=positive, default=_FRAMES, metavar="N", help="images per size (default: %(default)s)"
    )
    parser.add_argument(
        "--rate",
        type=rate_hz,
        default=_RATE_HZ,
        metavar="HZ",
        help="end to end: images per second (default: %(default)g)",
    )
    parser.add_argument(
        "--stride", type=positive, default=1, metavar="N", help="end to end: stride of the cloud (default: %(default)s)"
    )
    add_setting(
        parser, NodeConfig, "depth_resolution", help="end to end: pixels that are published (default: %(default)s)"
    )
    parser.add_argument(
        "--also",
        nargs="+",
        choices=ALSO,
        default=[],
        metavar="TOPIC",
        help=f"end to end: subscribe to these beside depth and cloud: {', '.join(ALSO)}",
    )


def command_line(args: argparse.Namespace) -> list[str]:
    """Return the options that :func:`add_options` reads back as ``args``."""
    words = []
    for name in (*_SETTINGS, "frames", "rate", "stride", "depth_resolution"):
        value, option = getattr(args, name), f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words += [option] if value else []
        else:
            words += [option, str(value)]
    return [*words, "--also", *args.also] if args.also else words
