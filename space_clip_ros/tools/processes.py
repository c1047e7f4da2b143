"""Child processes of the demo and the benchmark: started apart from the terminal, watched, and always stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from space_clip_ros.errors import SpaceClipError
from space_clip_ros.files import write_whole

_LAST_LINES = 12
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED_S = 6.0
_ENDED_S = 3.0


class ChildError(SpaceClipError):
    """A child process that ended when it should not have, or did not do what it was started for."""


class Child:
    """One ROS node of this package in its own process, with its output in a log file.

    The process gets its own session: Ctrl-C then reaches only the parent, which stops its children in order. Where
    ``setpriv`` exists (any Linux) the kernel ends the child if the parent is killed outright.

    Attributes:
        name: the last part of its module's name, such as ``depth_node``.
        log: file with its output.
        command: the command line that runs.
    """

    def __init__(
        self,
        module: str,
        parameters: Mapping[str, Any],
        folder: Path,
        arguments: Sequence[str] = (),
        remaps: Sequence[str] = (),
        niceness: int = 0,
        inherited: Sequence[int] = (),
    ) -> None:
        """Start the process.

        Args:
            module: module below ``space_clip_ros``, one of those named in :mod:`space_clip_ros.ros.executables` and
                :mod:`space_clip_ros.tools.executables`.
            parameters: its ROS parameters by dotted name.
            folder: where its parameter file and log go.
            arguments: its own command line arguments.
            remaps: topic remappings, ``FROM:=TO``.
            niceness: above 0 lowers its priority.
            inherited: file descriptors that stay open for it.

        Raises:
            DataError: the parameter file cannot be written.
        """
        self.name = module.rpartition(".")[2]
        self.log = folder / f"{self.name}.log"
        settings = folder / f"{self.name}.yaml"
        write_whole(settings, yaml.safe_dump({"/**": {"ros__parameters": dict(parameters)}}).encode())
        command = [sys.executable, "-m", f"space_clip_ros.{module}", *arguments]
        command += ["--ros-args", "--params-file", str(settings)]
        command += [word for remap in remaps for word in ("-r", remap)]
        if niceness and shutil.which("nice"):
            command = ["nice", "-n", str(niceness), *command]
        self.command = command
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=inherited,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def check(self, may_end: bool = False) -> None:
        """Do nothing while it runs, or if it ended with status 0 and ``may_end`` is set.

        Raises:
            ChildError: it failed, or ended too early; the message has its last lines.
        """
        status = self._process.poll()
        if status is None or (status == 0 and may_end):
            return
        end = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        raise ChildError(self.name, f"{end}; {self.last_lines()}")

    def last_lines(self) -> str:
        """Return the last lines of its log, for an error message."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()[-_LAST_LINES:]
        text = "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"
        return f"the last lines of {self.log}:\n{text}"

    def stop(self, patience_s: float = _INTERRUPTED_S) -> None:
        """End it and wait until it is gone: first with SIGINT, then with SIGTERM, last with SIGKILL.

        Args:
            patience_s: how long it may take to end by itself after SIGINT, seconds.
        """
        for number, seconds in ((signal.SIGINT, patience_s), (signal.SIGTERM, _ENDED_S), (signal.SIGKILL, _ENDED_S)):
            if not self.running:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue


class Children:
    """All child processes of a run. Used as a context manager, it stops every one of them at the end."""

    def __init__(self, folder: Path) -> None:
        """``folder`` takes parameter files and logs."""
        self._folder = folder
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        """Start with no children."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all, the last started first, even if more signals arrive meanwhile."""
        ignored = {number: signal.signal(number, signal.SIG_IGN) for number in _STOP_SIGNALS}
        try:
            for child in reversed(self._children):
                child.stop()
        finally:
            for number, handler in ignored.items():
                signal.signal(number, handler)

    def start(
        self,
        module: str,
        parameters: Mapping[str, Any],
        arguments: Sequence[str] = (),
        remaps: Sequence[str] = (),
        niceness: int = 0,
        inherited: Sequence[int] = (),
    ) -> Child:
        """Start one more; see :class:`Child`."""
        child = Child(module, parameters, self._folder, arguments, remaps, niceness, inherited)
        self._children.append(child)
        return child

    def check(self, may_end: Sequence[Child] = ()) -> None:
        """Check that every child still runs.

        Args:
            may_end: children that may have ended with status 0.

        Raises:
            ChildError: for the first one that failed or ended too early.
        """
        for child in self._children:
            child.check(may_end=child in may_end)
