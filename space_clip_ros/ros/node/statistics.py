"""A camera's numbers: rates, ages, drops by reason and time per stage."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from space_clip_ros.messages.diagnostics import Drop

_WINDOW_S = 5.0
_SAMPLES = 300
_TIMES = 2000


@dataclass(frozen=True)
class Snapshot:
    """The numbers at one time.

    Attributes:
        received: images received since the start.
        published: images with at least one output published since the start.
        received_hz: images received per second, over the last 5 s.
        published_hz: those per second, over the last 5 s.
        dropped: images received since the start that gave no output, by reason.
        dropped_hz: images without an output per second, over the last 5 s.
        lost: images that the middleware lost on the way here since the start; they are not among those received.
        lost_hz: those per second, over the last 5 s.
        age_ms: p50 and p95 of the time from an image's stamp to its last output; empty before the first, and while
            images have no stamp or the clock is not set.
        stages_ms: p50 of each stage's time, in the order the stages ran.
        problem: what last went wrong, if that was within the last 5 s.
        no_camera_info: whether that is a camera_info which never came.
        seconds_since_image: since the last image; None before the first.
        seconds_since_output: since the last output; None before the first.
    """

    received: int = 0
    published: int = 0
    received_hz: float = 0.0
    published_hz: float = 0.0
    dropped: Mapping[Drop, int] = field(default_factory=dict)
    dropped_hz: float = 0.0
    lost: int = 0
    lost_hz: float = 0.0
    age_ms: tuple[float, ...] = ()
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    no_camera_info: bool = False
    seconds_since_image: float | None = None
    seconds_since_output: float | None = None


class Statistics:
    """Counts and windows, shared by the threads of a node.

    Args:
        now: monotonic clock, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Start at zero."""
        self._now = now
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Start again at zero, as after a jump of the clock."""
        with self._lock:
            self._started = self._now()
            self._received = self._published = 0
            self._received_at: deque[float] = deque(maxlen=_TIMES)
            self._published_at: deque[float] = deque(maxlen=_TIMES)
            self._dropped: Counter[Drop] = Counter()
            self._dropped_at: deque[float] = deque(maxlen=_TIMES)
            self._lost = 0
            self._lost_at: deque[float] = deque(maxlen=_TIMES)
            self._ages: deque[float] = deque(maxlen=_SAMPLES)
            self._published_without_age = False
            self._stages: dict[str, deque[float]] = {}
            self._problem = ""
            self._no_camera_info = False
            self._problem_at = -math.inf

    def receive(self) -> None:
        """Count an image."""
        with self._lock:
            self._received += 1
            self._received_at.append(self._now())

    def lose(self, count: int) -> None:
        """Count images that were lost on the way here."""
        with self._lock:
            self._lost += count
            self._lost_at.extend([self._now()] * min(count, _TIMES))

    def drop(self, reason: Drop, problem: str = "") -> None:
        """Count an image that gave no output; ``problem`` is kept as by :meth:`note`."""
        with self._lock:
            self._dropped[reason] += 1
            self._dropped_at.append(self._now())
        if problem:
            self.note(problem)

    def note(self, problem: str, no_camera_info: bool = False) -> None:
        """Keep what went wrong for the next snapshots.

        Args:
            problem: one line.
            no_camera_info: whether it is that no camera_info has come.
        """
        with self._lock:
            self._problem, self._no_camera_info, self._problem_at = problem, no_camera_info, self._now()

    def publish(self, age_ms: float | None, stages_ms: Mapping[str, float]) -> None:
        """Count an image whose outputs are out, with its age, None where unknown, and the time each stage took."""
        with self._lock:
            self._published += 1
            self._published_at.append(self._now())
            self._published_without_age = age_ms is None
            if age_ms is not None:
                self._ages.append(age_ms)
            for name, value in stages_ms.items():
                self._stages.setdefault(name, deque(maxlen=_SAMPLES)).append(value)

    def seconds_since_reset(self) -> float:
        """Return for how long these numbers have been counted."""
        return self._now() - self._started

    def snapshot(self) -> Snapshot:
        """Return the current numbers."""
        with self._lock:
            now = self._now()
            return Snapshot(
                received=self._received,
                published=self._published,
                received_hz=self._rate(self._received_at, now),
                published_hz=self._rate(self._published_at, now),
                dropped=dict(self._dropped),
                dropped_hz=self._rate(self._dropped_at, now),
                lost=self._lost,
                lost_hz=self._rate(self._lost_at, now),
                age_ms=() if self._published_without_age or not self._ages else self._age_percentiles(),
                stages_ms={name: float(np.median(values)) for name, values in self._stages.items()},
                problem=self._problem if (recent := now - self._problem_at < _WINDOW_S) else "",
                no_camera_info=recent and self._no_camera_info,
                seconds_since_image=now - self._received_at[-1] if self._received_at else None,
                seconds_since_output=now - self._published_at[-1] if self._published_at else None,
            )

    def _age_percentiles(self) -> tuple[float, ...]:
        return tuple(float(value) for value in np.percentile(self._ages, (50, 95)))

    def _rate(self, times: Iterable[float], now: float) -> float:
        window = min(_WINDOW_S, now - self._started)
        return sum(time > now - window for time in times) / window if window > 0 else 0.0
