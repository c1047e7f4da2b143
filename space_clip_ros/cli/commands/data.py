"""``space_clip data``: what can be done with the frames that a settings file names."""

from __future__ import annotations

import argparse
from typing import Any

from space_clip_ros.cli import data_check, data_shards

_ACTIONS = {"check": data_check, "shards": data_shards}
"""Modules with ``add_parser`` and ``run``, as those of commands, by the action's name."""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its actions."""
    parser = subparsers.add_parser(
        "data",
        help="frames of a settings file: what is missing, and shards of them",
        description="Do something with the frames that a settings file names.",
        epilog="example: space_clip data check config/kitti.yaml --json missing.json",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, module in _ACTIONS.items():
        module.add_parser(actions)
        actions.choices[name].add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )


def run(args: argparse.Namespace) -> int:
    """Run the action."""
    return int(_ACTIONS[args.action].run(args))
