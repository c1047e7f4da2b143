"""Latencies from an image's stamp to the arrival of what was made from it, without ROS."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_QUANTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}


def percentiles(values: Iterable[float]) -> dict[str, float] | None:
    """Return p50, p95, p99 and max of ``values``, linearly interpolated; None where there are none."""
    array = np.fromiter(values, np.float64)
    if not array.size:
        return None
    found = dict(zip(_QUANTILES, np.percentile(array, list(_QUANTILES.values())).tolist(), strict=True))
    return {name: round(value, 2) for name, value in {**found, "max": float(array.max())}.items()}


class ArrivalLog:
    """Remembers, for each output, when the frame of each stamp arrived; the first arrival counts.

    The sender's and the receiver's clocks must be one and the same, as they are on one machine.
    """

    def __init__(self, outputs: Iterable[str]) -> None:
        """``outputs``: names of the outputs that every frame should arrive on."""
        self._arrivals: dict[str, dict[int, int]] = {output: {} for output in outputs}
        self._latest_ms: float | None = None

    def add(self, output: str, stamp_ns: int, arrived_ns: int) -> None:
        """Note that the frame stamped ``stamp_ns`` arrived on ``output`` at ``arrived_ns``, both in nanoseconds."""
        self._arrivals[output].setdefault(stamp_ns, arrived_ns)
        self._latest_ms = (arrived_ns - stamp_ns) / 1e6

    @property
    def latest_ms(self) -> float | None:
        """Latency of the newest arrival in milliseconds."""
        return self._latest_ms

    def received(self) -> dict[str, int]:
        """Frames that arrived on each output."""
        return {output: len(arrived) for output, arrived in self._arrivals.items()}

    def complete(self) -> set[int]:
        """Stamps of the frames that arrived on every output."""
        arrived = [set(stamps) for stamps in self._arrivals.values()]
        return set.intersection(*arrived) if arrived else set()

    def latencies_ms(self, output: str) -> list[float]:
        """Milliseconds from stamp to arrival, frame by frame."""
        return [(arrived - stamp) / 1e6 for stamp, arrived in self._arrivals[output].items()]

    def overall_ms(self) -> list[float]:
        """Milliseconds from stamp to the arrival of a frame's last output, for the frames that are complete."""
        last = {stamp: max(arrived[stamp] for arrived in self._arrivals.values()) for stamp in self.complete()}
        return [(arrived - stamp) / 1e6 for stamp, arrived in sorted(last.items())]

    def summary(self) -> dict[str, dict[str, float] | None]:
        """Percentiles of each output, and ``overall`` for the last one of each frame."""
        found = {output: percentiles(self.latencies_ms(output)) for output in self._arrivals}
        return {**found, "overall": percentiles(self.overall_ms())}
