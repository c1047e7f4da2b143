"""What the commands say and how they show progress; the only place of the command line that prints."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_BAR_WIDTH = 30
_REDRAW_S = 0.1
_PATIENCE_S = 2.0


def say(text: str = "") -> None:
    """Print one line to standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print one line to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class ProgressBar:
    """A one-line bar on standard error, drawn only where a terminal listens and the work takes over two seconds."""

    def __init__(self, total: int, label: str, unit: str = "") -> None:
        """``total`` counts steps, or bytes where ``unit`` is ``"B"``."""
        self.total = max(int(total), 0)
        self.done = 0
        self._label = label
        self._unit = unit
        self._started = time.monotonic()
        self._drawn = 0.0
        self._listening = sys.stderr.isatty()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps`` more as done."""
        self.update(self.done + steps, note)

    def update(self, done: int, note: str = "") -> None:
        """Set how many steps are done."""
        self.done = done
        now = time.monotonic()
        if self._listening and now - self._started > _PATIENCE_S and now - self._drawn > _REDRAW_S:
            self._drawn = now
            sys.stderr.write(f"\r\x1b[K{self._line(now - self._started, note)}")
            sys.stderr.flush()

    def close(self) -> None:
        """Clear the line."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _line(self, elapsed: float, note: str) -> str:
        share = min(self.done / self.total, 1.0) if self.total else 0.0
        filled = int(share * _BAR_WIDTH)
        rate = self.done / elapsed
        left = f"{_clock((self.total - self.done) / rate)} left" if self.total and rate > 0 else _clock(elapsed)
        speed = f"{rate / 1e6:.1f} MB/s" if self._unit == "B" else f"{rate:.1f}/s"
        return f"{self._label} [{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {share:4.0%}  {speed}  {left}  {note}"


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield ``items`` while a bar shows how many of ``total`` are done."""
    with progress_bar(total, label) as bar:
        for item in items:
            yield item
            bar.advance()


@contextlib.contextmanager
def progress_bar(total: int, label: str, unit: str = "") -> Iterator[ProgressBar]:
    """A :class:`ProgressBar` that clears its line at the end, also after an error."""
    bar = ProgressBar(total, label, unit)
    try:
        yield bar
    finally:
        bar.close()


def callback(bar: ProgressBar) -> Callable[[int, int], None]:
    """Return a ``(done, total)`` callback that drives ``bar``, for library functions that report progress."""

    def report(done: int, total: int) -> None:
        bar.total = total
        bar.update(done)

    return report


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60:d}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes:d}:{seconds:02d}"
