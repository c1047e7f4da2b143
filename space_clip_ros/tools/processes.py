"""The demo's child processes: started apart from the terminal, watched, and always stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from space_clip_ros.errors import SpaceClipError

_LAST_LINES = 12
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_S = {signal.SIGINT: 6.0, signal.SIGTERM: 3.0, signal.SIGKILL: 3.0}


class ChildError(SpaceClipError):
    """A child process that ended when it should not have, or could not be started."""


class Child:
    """One ROS executable of this package in a process of its own, its output in a log file.

    It runs in a session of its own, so that Ctrl-C reaches only the demo, which then stops its children in order; and
    where ``setpriv`` exists (any Linux) the kernel ends it if the demo is killed outright.

    Attributes:
        name: its module under ``space_clip_ros.ros``.
        log: the file of its output.
        command: what runs.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Any],
        folder: Path,
        arguments: Sequence[str] = (),
        remaps: Sequence[str] = (),
        niceness: int = 0,
        inherited: Sequence[int] = (),
    ) -> None:
        """Start it.

        Args:
            name: module under ``space_clip_ros.ros``, such as ``depth_node``.
            parameters: its ROS parameters by dotted name.
            folder: where its parameter file and log go.
            arguments: its own arguments.
            remaps: of topics, ``FROM:=TO``.
            niceness: above 0 it gets out of the others' way.
            inherited: file descriptors that stay open for it.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        settings = folder / f"{name}.yaml"
        settings.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(parameters)}}), encoding="utf-8")
        module = f"space_clip_ros.ros.{name}"
        command = [sys.executable, "-m", module, *arguments, "--ros-args", "--params-file", str(settings)]
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
        """Do nothing while it runs, or if it ended well and ``may_end``.

        Raises:
            ChildError: it failed, or ended too early; the message has its last lines.
        """
        status = self._process.poll()
        if status is None or (status == 0 and may_end):
            return
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        raise ChildError(f"{self.name} {how}; {self.told()}")

    def told(self) -> str:
        """Return the last lines of its log, for an error message."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()[-_LAST_LINES:]
        text = "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"
        return f"the last lines of {self.log}:\n{text}"

    def stop(self) -> None:
        """End it, gently first: Ctrl-C's signal, then SIGTERM, then SIGKILL; returns when it is gone."""
        for name, patience in _PATIENCE_S.items():
            if not self.running:
                return
            self._process.send_signal(name)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue


class Children:
    """All child processes; as a context manager it leaves none behind."""

    def __init__(self, folder: Path) -> None:
        """``folder`` takes parameter files and logs."""
        self._folder = folder
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        """Start with no children."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all, the last started first, even while more signals arrive."""
        ignored = {number: signal.signal(number, signal.SIG_IGN) for number in _STOPPING}
        try:
            for child in reversed(self._children):
                child.stop()
        finally:
            for number, handler in ignored.items():
                signal.signal(number, handler)

    def start(
        self,
        name: str,
        parameters: Mapping[str, Any],
        arguments: Sequence[str] = (),
        remaps: Sequence[str] = (),
        niceness: int = 0,
        inherited: Sequence[int] = (),
    ) -> Child:
        """Start one more; see :class:`Child`."""
        child = Child(name, parameters, self._folder, arguments, remaps, niceness, inherited)
        self._children.append(child)
        return child

    def check(self, may_end: tuple[Child, ...] = ()) -> None:
        """Raise :class:`ChildError` for the first child that ended, unless it ended well and is in ``may_end``."""
        for child in self._children:
            child.check(may_end=child in may_end)

    def wait(self, child: Child, seconds: float) -> None:
        """Wait until ``child`` ends well.

        Raises:
            ChildError: it failed or did not end in time.
        """
        deadline = time.monotonic() + seconds
        while child.running:
            if time.monotonic() > deadline:
                raise ChildError(f"{child.name} did not end within {seconds:g} s; see {child.log}")
            time.sleep(0.05)
        child.check(may_end=True)
