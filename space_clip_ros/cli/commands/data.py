"""``space_clip data``: checks the frames of a settings file, or writes them into shards."""

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
        help="check the frames of a settings file, or write them into shards",
        description="Check the frames of a settings file, or write them into shards.",
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
