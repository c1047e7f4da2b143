"""The ``space_clip`` command: runs a subcommand, and turns its errors into one line and an exit status."""

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
from space_clip_ros.cli.signals import ending_on_sigterm
from space_clip_ros.errors import DeviceLostError, SpaceClipError
from space_clip_ros.libraries import check_numeric_libraries, import_error

_BROKEN_PIPE = 141  # 128 + SIGPIPE, as shells report a command whose reader has gone


def command_modules() -> dict[str, str]:
    """Return the dotted module of every command by the command's name, in alphabetical order.

    A command is a module with ``add_parser`` and ``run`` in ``cli/commands`` or in a tool's folder ``commands``.
    """
    package = Path(__file__).resolve().parents[1]
    files = [*package.glob("cli/commands/[a-z]*.py"), *package.glob("tools/*/commands/[a-z]*.py")]
    return {
        file.stem: ".".join(file.relative_to(package.parent).with_suffix("").parts)
        for file in sorted(files, key=lambda file: file.stem)
    }


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every subcommand; ``args.run`` is the function of the one given."""
    parser = argparse.ArgumentParser(
        prog="space_clip",
        description="Metric depth from one camera: predict, train, evaluate, export.",
        epilog="example: space_clip predict street.png --out depth",
    )
    parser.add_argument("--version", action="version", version=f"space_clip {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in command_modules().items():
        command = importlib.import_module(module)
        command.add_parser(subparsers)
        subparser = subparsers.choices[name]
        subparser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        subparser.set_defaults(run=command.run, parser=subparser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return 0 on success and 1 after printing an error. Wrong usage exits with status 2."""
    # `space_clip … | head` ends quietly, as other commands do. SIGPIPE itself stays ignored: it would also kill a
    # download or a training run whose connection breaks.
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        complain("space_clip: interrupted")
        return 130


def _run(arguments: Sequence[str] | None) -> int:
    try:
        parser = build_parser()
    except ImportError as error:  # of what every command needs
        if "--debug" in (sys.argv if arguments is None else arguments):
            traceback.print_exc()
        complain(f"space_clip: {_explain(error)}")
        return 1
    args = _parsed(parser, arguments)
    try:
        if getattr(args, "checks_libraries", True):
            check_numeric_libraries()
        with ending_on_sigterm():
            return int(args.run(args))
    except BrokenPipeError:
        raise
    except (SpaceClipError, OSError, ImportError) as error:
        if args.debug:
            traceback.print_exc()
        complain(f"space_clip {args.command}: {_explain(error)}")
        if isinstance(error, DeviceLostError):
            # A GPU library that cannot free its memory any more aborts the process in its destructors.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
        return 1
    except Exception as error:  # a bug of ours still gives one clear line
        if args.debug:
            traceback.print_exc()
        complain(f"space_clip {args.command}: internal error, {type(error).__name__}: {error}; --debug shows where")
        return 1


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; ``key=value`` may also follow options, where argparse takes no more of them."""
    args, rest = parser.parse_known_args(arguments)
    if rest and not (hasattr(args, "overrides") and all("=" in word[1:] and word[0] != "-" for word in rest)):
        args.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.overrides = [*args.overrides, *rest]
    return args


def _explain(error: Exception) -> str:
    if isinstance(error, ImportError) and not isinstance(error, SpaceClipError):
        return str(import_error(error))
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
