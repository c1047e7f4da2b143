"""Shared by the tools that are programs of their own: how they end, and the options of those that run a ROS node."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rclpy.logging import get_logger

from space_clip_ros.errors import SpaceClipError
from space_clip_ros.files import shared_file
from space_clip_ros.ros.common import dds
from space_clip_ros.ros.common.spin import CLOSE_S, MakeNode, run
from space_clip_ros.tools.program_options import ProgramOptions
from space_clip_ros.tools.terminal import Terminal

_STOPPED = 130
"""Exit status after Ctrl-C, as a shell expects it."""

Options = TypeVar("Options", bound=ProgramOptions)


def carry_large_messages() -> None:
    """Use the shipped DDS profile, which carries whole images and clouds, if there is enough shared memory for it."""
    os.environ.update(dds.shipped_environment(os.environ, shared_file("config/fastdds.xml").parent, 1))


def split_arguments(args: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Split a command line (None: the process's own) where ROS's arguments begin."""
    words = list(sys.argv[1:] if args is None else args)
    start = words.index("--ros-args") if "--ros-args" in words else len(words)
    return words[:start], words[start:]


def run_program(name: str, act: Callable[[], object], terminal: Terminal) -> int:
    """Do a program's work; return 0, 1 after an error, or 130 after Ctrl-C, SIGTERM or SIGHUP.

    Args:
        name: of the program, for what goes to standard error.
        act: does the work.
        terminal: its status line is cleared before an error is written.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        act()
    except (SpaceClipError, KeyboardInterrupt) as error:
        terminal.clear()
        stopped = isinstance(error, KeyboardInterrupt)
        sys.stderr.write(f"{name}: {'stopped' if stopped else error}\n")
        return _STOPPED if stopped else 1
    return 0


class NodeProgram(Generic[Options]):
    """A program that runs one ROS node.

    Args:
        name: name of the executable.
        description: what ``--help`` says.
        example: last line of ``--help``.
        options: class of the program's options.
    """

    def __init__(self, name: str, description: str, example: str, options: type[Options]) -> None:
        """Make the parser."""
        self._parser = argparse.ArgumentParser(prog=name, description=description, epilog=example)
        options.add_to(self._parser)
        self._options = options
        self._name = name
        self._description = description
        self._ros: list[str] = []

    def main(self, act: Callable[[Options], int], args: Sequence[str] | None) -> int:
        """Call ``act`` with the options; return its status, or 1 after an error, including one that ended a node.

        Args:
            act: opens what the node needs, then calls :meth:`run`.
            args: command line without the program's name; None for the process's own.
        """
        words, self._ros = split_arguments(args)
        try:
            carry_large_messages()
            return act(self._options.parsed(self._parser.parse_args(words)))
        except SpaceClipError as error:
            get_logger(self._name).fatal(str(error))
            return 1

    def run(self, make_node: MakeNode, close_s: float = CLOSE_S) -> int:
        """Run a node to its end; see :func:`space_clip_ros.ros.common.spin.run`."""
        return run(make_node, self._name, self._description, self._ros, close_s)
