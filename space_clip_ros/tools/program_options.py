"""Options of a program, declared once as a dataclass that gives checks, a parser, and a child's command line."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from space_clip_ros.errors import InputError
from space_clip_ros.settings import out_of_range, setting

T = TypeVar("T", bound="ProgramOptions")

REQUIRED: Any = dataclasses.MISSING
"""Default of an option that must be given."""


def option(
    default: Any,
    help: str,
    *,
    metavar: str | None = None,
    positional: bool = False,
    parse: Callable[[str], Any] | None = None,
    **limits: Any,
) -> Any:
    """Declare one option of a :class:`ProgramOptions`.

    Args:
        default: its default, or :data:`REQUIRED`. A ``bool`` field is a flag, a ``tuple`` field takes several values.
        help: one line for ``--help``; the default is added to it. Without one, ``--help`` does not show the option.
        metavar: placeholder of the value in ``--help``.
        positional: whether it is a positional argument instead of ``--name``.
        parse: converts the text of the command line; None for the field's type.
        limits: ``minimum``, ``maximum`` and ``choices`` of :func:`space_clip_ros.settings.setting`.
    """
    declared = setting(default, help, **limits).metadata
    metadata = {**declared, "metavar": metavar, "positional": positional, "parse": parse}
    return dataclasses.field(default=default, metadata=metadata)


class ProgramOptions:
    """Base of frozen dataclasses whose fields were declared with :func:`option`.

    Raises:
        InputError: a value out of range or not among the choices.
    """

    def __post_init__(self) -> None:
        """Check every value."""
        for field in _fields(type(self)):
            value = getattr(self, field.name)
            if problem := out_of_range(value, field.metadata):
                raise InputError(_dashed(field), f"{problem}, got {value!r}")

    @classmethod
    def add_to(cls, parser: argparse.ArgumentParser) -> None:
        """Add every option to a parser."""
        hints = typing.get_type_hints(cls)
        for field in _fields(cls):
            name = field.name if field.metadata["positional"] else f"--{_dashed(field)}"
            parser.add_argument(name, **_argument(field, hints[field.name]))

    @classmethod
    def parsed(cls: type[T], args: argparse.Namespace) -> T:
        """Return the options that a command line gave.

        Raises:
            InputError: a value out of range.
        """
        values = {field.name: getattr(args, field.name) for field in _fields(cls)}
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})

    def arguments(self) -> list[str]:
        """Return the command line that :meth:`parsed` reads back as these options; defaults are left out."""
        positional: list[str] = []
        single: list[str] = []
        several: list[str] = []
        for field in _fields(type(self)):
            value, name = getattr(self, field.name), f"--{_dashed(field)}"
            if value == field.default:
                continue
            if field.metadata["positional"]:
                positional += map(str, value if isinstance(value, tuple) else [value])
            elif isinstance(value, tuple):
                several += [name, *map(str, value)]
            else:
                single.append(name if value is True else f"{name}={value}")
        # An option of several values takes every word up to the next option, so nothing else may follow it.
        return [*positional, *single, *several]


def _fields(options: type[ProgramOptions]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(typing.cast(Any, options))


def _dashed(field: dataclasses.Field[Any]) -> str:
    return field.name.replace("_", "-")


def _argument(field: dataclasses.Field[Any], hint: Any) -> dict[str, Any]:
    """Return what ``add_argument`` takes for a field."""
    declared, default = field.metadata, field.default
    help = f"{declared['help']}{_default_text(default)}".replace("%", "%%") if declared["help"] else argparse.SUPPRESS
    if hint is bool:
        return {"action": "store_true", "help": help}
    several = typing.get_origin(hint) is tuple
    # The type of a tuple's items, or of an optional value that is given.
    kind = next(iter(typing.get_args(hint)), hint)
    argument = {
        "type": declared["parse"] or kind,
        "metavar": declared["metavar"],
        "choices": declared["choices"] or None,
        "help": help,
        "default": None if default is REQUIRED else default,
    }
    if several:
        argument["nargs"] = "*" if declared["positional"] else "+"
    if default is REQUIRED and not declared["positional"]:
        argument["required"] = True
    return argument


def _default_text(default: Any) -> str:
    if default is REQUIRED or default is False or default in (None, "", ()):
        return ""
    if isinstance(default, tuple):
        return f" (default {' '.join(default)})"
    return f" (default {default:g})" if isinstance(default, float) else f" (default {default})"
