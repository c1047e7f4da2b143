"""``space_clip train``: trains a model with the settings of a YAML file."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from space_clip_ros.cli.console import say
from space_clip_ros.cli.options import add_config
from space_clip_ros.cli.training_console import TrainingConsole

if TYPE_CHECKING:
    from space_clip_ros.training.trainer import Outcome

_INTERRUPTED = 130


def add_parser(subparsers: Any) -> None:
    """Add the subcommand and its options."""
    parser = subparsers.add_parser(
        "train",
        help="train a model",
        description="Train a model with the settings of a YAML file; under torchrun on several GPUs or machines.",
        epilog="example: space_clip train config/kitti.yaml optimizer.batch_size=32 run.dir=runs/first; "
        "torchrun --nproc-per-node 4 -m space_clip_ros.cli.main train config/kitti.yaml",
    )
    add_config(parser)
    resuming = parser.add_mutually_exclusive_group()
    resuming.add_argument("--resume", action="store_true", help="resume from the newest checkpoint of run.dir")
    resuming.add_argument(
        "--resume-or-start",
        action="store_true",
        help="resume if run.dir has a checkpoint, else start: for torchrun, Slurm and Kubernetes, which repeat the "
        "command after losing a process",
    )


def run(args: argparse.Namespace) -> int:
    """Train; return 0 after the last epoch, 130 if interrupted.

    Raises:
        SpaceClipError: the settings, the data or a checkpoint cannot be used.
    """
    from space_clip_ros.training.configuration import load_training
    from space_clip_ros.training.trainer import train

    config = load_training(args.config, args.overrides)
    outcome = train(config, TrainingConsole(), None if args.resume_or_start else args.resume)
    if outcome.first:
        say(_summary(outcome, args))
    return 0 if outcome.finished else _INTERRUPTED


def _summary(outcome: Outcome, args: argparse.Namespace) -> str:
    if not outcome.finished:
        again = shlex.join(["space_clip", "train", args.config, *args.overrides, "--resume"])
        return f"stopped after step {outcome.step}, everything is saved; resume with: {again}"
    if not outcome.best.exists():
        last = outcome.best.with_name("last")
        return f"done after {outcome.step} steps; nothing was validated, the last weights are in {last}"
    return (
        f"done after {outcome.step} steps; best weights ({outcome.criterion} {outcome.best_score:.4f}): {outcome.best}"
    )
