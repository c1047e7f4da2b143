"""What a long-running program of this package says to whoever listens: lines, and one line that keeps changing."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

_REDRAW_S = 0.2
_LOG_S = 2.0


class Terminal:
    """Writes lines, and a live line that is redrawn in place on a terminal and repeated now and then elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to ``stream``, standard output by default."""
        self._stream = sys.stdout if stream is None else stream
        self._live = self._stream.isatty()
        self._drawn_at: float | None = None
        self._drawn = False

    def say(self, text: str) -> None:
        """Write one line or several, below the live line's place."""
        self.clear()
        self._write(f"{text}\n")

    def show(self, text: str, now: bool = False) -> None:
        """Update the live line, no more often than is useful; ``now`` updates it in any case."""
        moment = time.monotonic()
        period = _REDRAW_S if self._live else _LOG_S
        if self._drawn_at is not None and moment - self._drawn_at < period and not now:
            return
        self._drawn_at = moment
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{text[:width]}")
            self._drawn = True
        else:
            self._write(f"{text}\n")

    def clear(self) -> None:
        """Remove the live line from the terminal."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
