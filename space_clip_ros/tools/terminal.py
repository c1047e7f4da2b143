"""Output of a long-running program: lines that stay, and one status line that keeps changing."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

_REDRAW_S = 0.2
_LOG_S = 2.0


class Terminal:
    """Writes lines and one status line. A terminal redraws the status in place; a log gets it every few seconds.

    tqdm cannot do this: it writes carriage returns into a log, too.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to ``stream``, standard output by default."""
        self._stream = sys.stdout if stream is None else stream
        self._in_place = self._stream.isatty()
        self._shown_at_s = float("-inf")
        self._drawn = False

    def say(self, text: str) -> None:
        """Write one or several lines in place of the status line."""
        self.clear()
        self._write(f"{text}\n")

    def show(self, text: str) -> None:
        """Update the status line, unless it was updated a moment ago."""
        now_s = time.monotonic()
        if now_s - self._shown_at_s < (_REDRAW_S if self._in_place else _LOG_S):
            return
        self._shown_at_s = now_s
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{text[:width]}")
            self._drawn = True
        else:
            self._write(f"{text}\n")

    def clear(self) -> None:
        """Remove the status line from the terminal."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
