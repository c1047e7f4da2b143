"""``space_clip ablate``: trains the rows of an ablation and compares them in one table."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from space_clip_ros.cli.console import say
from space_clip_ros.cli.options import add_config
from space_clip_ros.cli.training_console import TrainingConsole

_INTERRUPTED = 130


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its options."""
    parser = subparsers.add_parser(
        "ablate",
        help="train a table of models that differ by a few settings",
        description="Train the rows of an ablation file, runs that differ in a few settings, one after the other, and "
        "write one table; under torchrun on several GPUs or machines. Run the command again to continue after an "
        "interruption.",
        epilog="example: space_clip ablate config/paper_ablation.yaml runtime.bf16=true; "
        "torchrun --nproc-per-node 4 -m space_clip_ros.cli.main ablate config/paper_ablation.yaml",
    )
    add_config(
        parser, "YAML file with the base's settings and the rows", "settings that replace the base's, not a row's own"
    )
    parser.add_argument("--list", action="store_true", help="check and show the rows without training them")


def run(args: argparse.Namespace) -> int:
    """Train the rows; return 0 after the last row, 130 if interrupted.

    Raises:
        SpaceClipError: the settings of a row, the data or a checkpoint cannot be used.
    """
    from space_clip_ros.training.ablation import load_ablation, run_ablation
    from space_clip_ros.training.ablation_table import markdown_table, write_table

    ablation = load_ablation(args.config, args.overrides)
    if args.list:
        for row in ablation.rows:
            say(f"{row.label}: {row.config.run.dir}, {' '.join(row.overrides) or 'the base'}")
        return 0
    outcome = run_ablation(ablation, TrainingConsole(), lambda results: write_table(ablation, results))
    if outcome.first:
        say(markdown_table(ablation, outcome.results))
        say(f"written to {' and '.join(map(str, write_table(ablation, outcome.results)))}")
        if not outcome.finished:
            again = shlex.join(["space_clip", "ablate", args.config, *args.overrides])
            say(f"stopped, everything is saved; continue with: {again}")
    return 0 if outcome.finished else _INTERRUPTED
