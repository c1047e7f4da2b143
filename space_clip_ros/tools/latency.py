"""Run times and latencies as percentiles, and when the outputs computed from an image arrived. Needs no ROS."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np

from space_clip_ros.errors import InputError

_QUANTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
_DIGITS = 4

Summary = dict[str, float]


def percentiles(values: Iterable[float], digits: int = 2) -> Summary | None:
    """Return p50, p95, p99 and max of ``values``, linearly interpolated; None where there are none."""
    array = np.fromiter(values, np.float64)
    if not array.size:
        return None
    quantiles = dict(zip(_QUANTILES, np.percentile(array, list(_QUANTILES.values())).tolist(), strict=True))
    return {name: round(value, digits) for name, value in {**quantiles, "max": float(array.max())}.items()}


def summarize(times_ms: Sequence[float]) -> Summary:
    """Return :func:`percentiles` of ``times_ms``, to 0.1 microseconds.

    Raises:
        InputError: ``times_ms`` is empty.
    """
    summary = percentiles(times_ms, _DIGITS)
    if summary is None:
        raise InputError("times", "none were measured", "measure at least one frame")
    return summary


def summarize_stages(frames: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """Return :func:`summarize` of every stage, in the first frame's order; each frame maps stage to milliseconds."""
    stages = dict.fromkeys(stage for frame in frames for stage in frame)
    return {stage: summarize([frame[stage] for frame in frames if stage in frame]) for stage in stages}


class ArrivalLog:
    """Records when each frame, known by its stamp, first arrived on each output.

    Sender and receiver must share one clock, as they do on one machine. A frame is complete once it has arrived on
    every output.
    """

    def __init__(self, outputs: Iterable[str]) -> None:
        """``outputs`` are the names of the outputs that every frame should arrive on."""
        self._arrivals: dict[str, dict[int, int]] = {output: {} for output in outputs}

    def add(self, output: str, stamp_ns: int, arrived_ns: int) -> None:
        """Record that the frame stamped ``stamp_ns`` arrived on ``output`` at ``arrived_ns``, both nanoseconds."""
        self._arrivals[output].setdefault(stamp_ns, arrived_ns)

    def received(self) -> dict[str, int]:
        """Return how many frames arrived on each output."""
        return {output: len(arrived) for output, arrived in self._arrivals.items()}

    def complete(self) -> dict[int, int]:
        """Return when the last output of each complete frame arrived, by its stamp and in order; both nanoseconds."""
        common = set.intersection(*(set(arrived) for arrived in self._arrivals.values()))
        return {stamp: max(arrived[stamp] for arrived in self._arrivals.values()) for stamp in sorted(common)}

    def latencies_ms(self, output: str, stamps: Container[int] | None = None) -> list[float]:
        """Return each frame's milliseconds from stamp to arrival on one output; of ``stamps`` only, if given."""
        arrivals = self._arrivals[output].items()
        return [(arrived - stamp) / 1e6 for stamp, arrived in arrivals if stamps is None or stamp in stamps]

    def overall_ms(self) -> list[float]:
        """Return each complete frame's milliseconds from stamp to the arrival of its last output, in order."""
        return [(arrived - stamp) / 1e6 for stamp, arrived in self.complete().items()]

    def rate_hz(self) -> float | None:
        """Return complete frames per second from the first to the last of them; None for fewer than two."""
        arrivals = sorted(self.complete().values())
        if len(arrivals) < 2 or arrivals[0] == arrivals[-1]:
            return None
        return round((len(arrivals) - 1) * 1e9 / (arrivals[-1] - arrivals[0]), 3)
