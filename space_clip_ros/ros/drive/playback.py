"""Timing of a played drive or bag, without ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

_LOOK_S = 0.05
_SETTLE_S = 0.5


class Timetable:
    """Knows when each frame of a drive is due, at a playback speed, over any number of passes.

    Later passes have later stamps, so that time never runs backwards for a subscriber.
    """

    def __init__(self, stamps_ns: Sequence[int], speed: float) -> None:
        """``stamps_ns``: the frames' stamps in nanoseconds, rising; ``speed``: 1 for the drive's own timing."""
        self._stamps = [int(stamp) for stamp in stamps_ns]
        self._speed = speed
        span = self._stamps[-1] - self._stamps[0]
        # The last frame lasts as long as the others on average; otherwise it would coincide with the next pass's first.
        self._pass = span + (span // (len(self._stamps) - 1) if span else 100_000_000)

    @property
    def frame_rate(self) -> float:
        """Mean frame rate of the playback in hertz."""
        return len(self._stamps) * 1e9 / self._pass * self._speed

    def stamp_ns(self, frame: int) -> int:
        """Stamp of the ``frame``-th frame played, in nanoseconds; counts on through the passes."""
        passes, index = divmod(frame, len(self._stamps))
        return self._stamps[index] + passes * self._pass

    def due_s(self, frame: int) -> float:
        """Seconds between the first frame and the ``frame``-th one."""
        return (self.stamp_ns(frame) - self._stamps[0]) / 1e9 / self._speed

    def stamp_at(self, elapsed_s: float) -> int:
        """The drive's time, in nanoseconds, ``elapsed_s`` seconds after its first frame was played."""
        return self._stamps[0] + round(elapsed_s * self._speed * 1e9)


class Pacer:
    """Sleeps until given times after :meth:`start`, and records how late it woke."""

    def __init__(self, stopping: threading.Event, late_s: float) -> None:
        """``stopping`` ends every wait; frames more than ``late_s`` seconds behind count as late."""
        self._stopping = stopping
        self._allowed = late_s
        self._started = 0.0
        self.late = 0
        self.worst_s = 0.0

    def start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since :meth:`start`."""
        return time.monotonic() - self._started

    def wait_until(self, due_s: float, tick_s: float = 0.5, on_tick: Callable[[], None] | None = None) -> bool:
        """Sleep until ``due_s`` seconds after the start, calling ``on_tick`` every ``tick_s``; False when stopped."""
        while (left := due_s - self.elapsed_s) > 0:
            if self._stopping.wait(min(left, tick_s)):
                return False
            if on_tick is not None:
                on_tick()
        return not self._stopping.is_set()

    def note(self, due_s: float) -> None:
        """Record how late it is for a frame that was due ``due_s`` seconds after the start."""
        behind = self.elapsed_s - due_s
        self.worst_s = max(self.worst_s, behind)
        self.late += behind > self._allowed


def wait_for_subscribers(
    stopping: threading.Event, count: Callable[[], int], patience_s: float, settle_s: float = _SETTLE_S
) -> bool:
    """Wait for the first subscriber, then until no more are discovered; return whether there are any.

    DDS discovers subscribers one after the other, and those discovered after the first message would miss it.

    Args:
        stopping: ends the wait.
        count: returns how many there are; 0 while a necessary one is missing.
        patience_s: seconds to wait for the first one.
        settle_s: seconds without a new one after which the wait ends.
    """
    deadline = time.monotonic() + patience_s
    while not count():
        if time.monotonic() > deadline or stopping.wait(_LOOK_S):
            return False
    known, settled = count(), time.monotonic() + settle_s
    while time.monotonic() < settled and not stopping.wait(_LOOK_S):
        if count() != known:
            known, settled = count(), time.monotonic() + settle_s
    return True
