"""Log lines that do not repeat faster than a person can read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any


class ThrottledLog:
    """Logs each kind of line at most once a period, and then how often it was held back in between.

    rclpy throttles by line of code, so one bad publisher would hide another fault; this throttles by kind. Safe to call
    from several threads.

    Args:
        logger: anything with rclpy's ``info``, ``warning`` and ``error``.
        period_s: seconds between two lines of a kind.
        now: monotonic clock, seconds.
        prefix: what goes before every line, such as a camera's name.
    """

    def __init__(
        self, logger: Any, period_s: float = 5.0, now: Callable[[], float] = time.monotonic, prefix: str = ""
    ) -> None:
        """Start with nothing logged."""
        self._logger = logger
        self._prefix = prefix
        self._period_s = period_s
        self._now = now
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._held: dict[str, int] = {}
        self._said: dict[str, str] = {}

    def info(self, kind: str, text: str) -> None:
        """Log a state when it differs from what this kind's last line said, unless that was within the period."""
        with self._lock:
            now = self._now()
            recent = kind in self._last and now - self._last[kind] < self._period_s
            if recent or self._said.get(kind) == text:
                return
            self._last[kind], self._said[kind] = now, text
        self._logger.info(f"{self._prefix}{text}")

    def warning(self, kind: str, text: str) -> None:
        """Log a warning unless this kind was logged within the period; use few kinds, they are kept for ever."""
        line = self._line(kind, text)
        if line:
            self._logger.warning(line)

    def error(self, kind: str, text: str) -> None:
        """Log an error unless this kind was logged within the period."""
        line = self._line(kind, text)
        if line:
            self._logger.error(line)

    def once(self, kind: str, text: str) -> None:
        """Log a warning if this kind was never logged before."""
        with self._lock:
            known = kind in self._last
            self._last[kind] = self._now()
        if not known:
            self._logger.warning(f"{self._prefix}{text}")

    def _line(self, kind: str, text: str) -> str:
        with self._lock:
            now = self._now()
            if kind in self._last and now - self._last[kind] < self._period_s:
                self._held[kind] = self._held.get(kind, 0) + 1
                return ""
            self._last[kind] = now
            held = self._held.pop(kind, 0)
        text = f"{self._prefix}{text}"
        return f"{text} ({held} more like it before)" if held else text
