"""Runs other programs, and libraries that might crash or hang in a Python process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from space_clip_ros.errors import SpaceClipError

_PROGRAM_S = 10.0
_MODULE_S = 120.0
_LONGEST = 300


class ProbeError(SpaceClipError):
    """A program that could not be run, failed, or took too long."""


def output_of(*command: str) -> str:
    """Return a program's output, stripped.

    Raises:
        ProbeError: it is not installed, failed, or took more than ten seconds.
    """
    return _run(command, _PROGRAM_S, command[0])


def facts_of(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module of this package in its own process; return the JSON object on its last line.

    Loading a GPU's libraries can crash or hang a process. In its own process that costs one line of the report.

    Args:
        module: below :mod:`space_clip_ros.tools.doctor`.
        arguments: its command line.

    Raises:
        ProbeError: it failed, was killed, took more than two minutes, or printed no such line; or the object has a
            ``problem``.
    """
    command = [sys.executable, "-m", f"space_clip_ros.tools.doctor.{module}", *arguments]
    lines = _run(command, _MODULE_S, module).splitlines()
    try:
        facts: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise ProbeError(module, "printed no result") from error
    if "problem" in facts:
        raise ProbeError(facts["problem"])
    return facts


def _run(command: Sequence[str], timeout_s: float, what: str) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            # as the programs' messages are read
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise ProbeError(what, "is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ProbeError(what, f"gave no answer within {timeout_s:g} s") from error
    except OSError as error:
        raise ProbeError(what, f"cannot be run ({error.strerror})") from error
    if done.returncode < 0:
        raise ProbeError(what, f"its process was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "it did not say why").splitlines()
        raise ProbeError(what, f"failed with status {done.returncode}: {lines[-1][:_LONGEST]}")
    return done.stdout.strip()
