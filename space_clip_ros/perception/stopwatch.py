"""Times the stages of one image."""

from __future__ import annotations

import time


class Stopwatch:
    """Times stages that follow each other.

    Attributes:
        stages_ms: duration of each stage in milliseconds, in the order they ended.
    """

    def __init__(self) -> None:
        """Start."""
        self._last = time.perf_counter()
        self.stages_ms: dict[str, float] = {}

    def restart(self) -> None:
        """Begin the next stage now: the time since the last one was another image's."""
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage; it began where the one before ended."""
        now = time.perf_counter()
        self.stages_ms[stage] = (now - self._last) * 1e3
        self._last = now
