"""The ``space_clip`` command: finds the subcommand, runs it, turns errors into one line and an exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from space_clip_ros import __version__
from space_clip_ros.cli.console import complain
from space_clip_ros.errors import SpaceClipError

_BROKEN_PIPE = 141  # 128 + SIGPIPE: what a shell reports of a command whose reader went away
_MISSING_EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "open_clip": "train",
    "safetensors": "train",
    "onnx": "train",
    "rclpy": "ros",
    "rosbags": "bags",
    "tensorboard": "train",
    "h5py": "nyu",
    "scipy": "nyu",
}


def command_modules() -> dict[str, str]:
    """Return the module of every command, by the command's name.

    A command is a module with ``add_parser`` and ``run`` in ``cli/commands`` or in the folder ``commands`` of a tool.
    """
    package = Path(__file__).resolve().parents[1]
    files = [*package.glob("cli/commands/[a-z]*.py"), *package.glob("tools/*/commands/[a-z]*.py")]
    return {
        file.stem: ".".join(file.relative_to(package.parent).with_suffix("").parts)
        for file in sorted(files, key=lambda file: file.stem)
    }


def build_parser() -> argparse.ArgumentParser:
    """Return the whole command's parser, with every subcommand."""
    parser = argparse.ArgumentParser(
        prog="space_clip",
        description="Metric depth from one camera: predict, train, evaluate, export.",
        epilog="example: space_clip predict street.png --out depth",
    )
    parser.add_argument("--version", action="version", version=f"space_clip {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in command_modules().values():
        importlib.import_module(module).add_parser(subparsers)
    for subparser in subparsers.choices.values():
        subparser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return 0 on success, 1 on an error said in one line, 2 (by argparse) on wrong usage."""
    # `space_clip … | head` ends quietly, as other commands do. SIGPIPE itself stays ignored: it would also kill
    # a download or a training run whose connection breaks.
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


def _run(arguments: Sequence[str] | None) -> int:
    args = build_parser().parse_args(arguments)
    try:
        return int(importlib.import_module(command_modules()[args.command]).run(args))
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        complain("space_clip: interrupted")
        return 130
    except (SpaceClipError, OSError, ImportError) as error:
        if args.debug:
            traceback.print_exc()
        complain(f"space_clip {args.command}: {_explain(error)}")
        return 1
    except Exception as error:  # the last resort: a bug of ours still gives one clear line
        if args.debug:
            traceback.print_exc()
        complain(f"space_clip {args.command}: internal error, {type(error).__name__}: {error}; --debug shows where")
        return 1


def _explain(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        extra = _MISSING_EXTRAS.get(package)
        remedy = f"pip install 'space_clip_ros[{extra}]'" if extra else f"install the package {package!r}"
        return f"this needs the Python package {package!r}, which is not installed; {remedy}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
