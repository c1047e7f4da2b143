"""How the commands that train show their progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from space_clip_ros.cli.console import Report, callback, progress_bar, say

_LINE_S = 60.0


class TrainingConsole:
    """Shows progress bars on a terminal, and prints one line a minute elsewhere."""

    def say(self, text: str) -> None:
        """Print one line."""
        say(text)

    @contextmanager
    def bar(self, total: int, label: str) -> Iterator[_Bar]:
        """Show a progress bar of ``total`` steps while the block runs."""
        with progress_bar(total, label) as bar:
            yield _Bar(callback(bar), total, label)


class _Bar:
    def __init__(self, show: Report, total: int, label: str) -> None:
        self._show = show
        self._done, self._total = 0, total
        self._label = label
        self._said = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        self._show(self._done, self._total, note)
        if not sys.stderr.isatty() and time.monotonic() - self._said > _LINE_S:
            self._said = time.monotonic()
            say(f"{self._label} {self._done}/{self._total} {note}")
