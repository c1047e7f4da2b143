"""Command-line options of declared settings, and types of values that several commands take."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from space_clip_ros.errors import DataError
from space_clip_ros.files import check_output_files
from space_clip_ros.model_config import IMAGENET, TEMPLATE_SETS
from space_clip_ros.settings import Declared, declared

_LOWEST_HZ, _HIGHEST_HZ = 0.1, 200.0


def add_settings(parser: argparse.ArgumentParser, settings: type, *names: str) -> None:
    """Add an option for each named setting of ``settings``; see :func:`add_setting`."""
    for name in names:
        add_setting(parser, settings, name)


def add_setting(parser: argparse.ArgumentParser, settings: type, name: str, **changes: Any) -> None:
    """Add the option of one setting, with the default, range, choices and help of its declaration.

    Args:
        parser: takes the option ``--name``, with dashes for underscores.
        settings: a dataclass of :mod:`space_clip_ros.config`.
        name: of the setting: text, a number, or a switch that is off by default.
        **changes: arguments of ``add_argument`` that replace those of the declaration. A default of None marks an
            option that was not given; the help still shows the declared default.
    """
    (setting,) = (item for item in declared(settings) if item.name == name)
    help = setting.help.replace("%", "%%")
    shown = setting.default if changes.get("default") is None else "%(default)s"
    arguments: dict[str, Any]
    if setting.type is bool:
        arguments = {"action": "store_true", "help": help}
    elif setting.choices:
        arguments = {"choices": setting.choices, "help": f"{help} (default: {shown})"}
    else:
        arguments = {"type": _Value(setting), "help": f"{help} (default: {shown})"}
    parser.add_argument(f"--{name.replace('_', '-')}", **{"default": setting.default, **arguments, **changes})


def add_config(
    parser: argparse.ArgumentParser,
    help: str = "YAML file of settings",
    overrides: str = "settings that replace the file's",
) -> None:
    """Add the arguments ``CONFIG`` and ``key=value``."""
    parser.add_argument("config", metavar="CONFIG", help=help)
    parser.add_argument("overrides", metavar="key=value", nargs="*", help=overrides)


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a CLIP and its prompt templates."""
    parser.add_argument(
        "--templates",
        choices=TEMPLATE_SETS,
        default=IMAGENET,
        help="sentences that each name is put into and averaged over: CLIP's 80 for ImageNet, or the name alone "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--clip-settings",
        type=Path,
        metavar="FILE.json",
        help="open_clip's settings of a CLIP that is given as a file (default: those of ViT-B-16-quickgelu)",
    )


def check_model_out(args: argparse.Namespace, source: Path, *suffixes: str) -> None:
    """Check before long work that ``--out`` can be written; exit with status 2 for another suffix or the source itself.

    Raises:
        DataError: its folder does not exist, or cannot be written to.
    """
    if args.out.suffix not in suffixes:
        args.parser.error(f"--out {args.out}: must end in {' or '.join(suffixes)}")
    refuse_sources(args, source)
    if not args.out.parent.is_dir():
        raise DataError(args.out, f"cannot be written (there is no folder {args.out.parent})", "check the folder")
    check_output_files(args.out)


def check_image_size(args: argparse.Namespace) -> None:
    """Exit with status 2 if only one of ``--height`` and ``--width`` is given."""
    if (args.height is None) != (args.width is None):
        args.parser.error("give both --height and --width, or neither")


def refuse_sources(args: argparse.Namespace, *sources: str | Path | None, names: Sequence[str] = ("out",)) -> None:
    """Exit with status 2 if a file to write is one of the files to read, or is to be written twice.

    Args:
        args: the parsed arguments, with the command's ``parser``.
        *sources: files to read; None stands for no file.
        names: of the options that name files to write; one that is not given is left out.
    """
    taken = {Path(source).expanduser().resolve(): "the file to read" for source in sources if source is not None}
    for name in names:
        file = getattr(args, name)
        if file is None:
            continue
        if file.resolve() in taken:
            args.parser.error(f"--{name} {file}: is {taken[file.resolve()]}; give another name")
        taken[file.resolve()] = f"the file of --{name} too"


def refuse_options(args: argparse.Namespace, reason: str, *names: str) -> None:
    """Exit with status 2 if one of these options is given, because it would have no effect.

    Args:
        args: the parsed arguments, with the command's ``parser``.
        reason: what follows the options' names in the message.
        *names: of the options, with underscores; one that has its default counts as not given.
    """
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) != args.parser.get_default(name)]
    if given:
        args.parser.error(f"{', '.join(given)}: {reason}")


class _Value:
    """Reads and checks the value of a setting's option."""

    def __init__(self, setting: Declared) -> None:
        self._setting = setting

    def __call__(self, text: str) -> Any:
        value: Any = text
        with contextlib.suppress(ValueError):
            value = self._setting.type(text)
        value, problem = self._setting.convert(value)
        if problem:
            raise argparse.ArgumentTypeError(f"{problem}, got {text!r}")
        return value


def positive(text: str) -> int:
    """Read a whole number of at least 1.

    Raises:
        ArgumentTypeError: the text is not such a number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def image_size(text: str) -> tuple[int, int]:
    """Read width and height in pixels from ``WxH``.

    Raises:
        ArgumentTypeError: the text is not such a size.
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT in pixels, got {text!r}")
    return int(width), int(height)


def rate_hz(text: str) -> float:
    """Read a rate of images, hertz.

    Raises:
        ArgumentTypeError: the text is not a number from 0.1 to 200.
    """
    with contextlib.suppress(ValueError):
        if _LOWEST_HZ <= float(text) <= _HIGHEST_HZ:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be between {_LOWEST_HZ:g} and {_HIGHEST_HZ:g} Hz, got {text!r}")
