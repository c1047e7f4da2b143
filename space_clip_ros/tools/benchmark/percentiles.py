"""Times as percentiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from space_clip_ros.errors import InputError

QUANTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
_DIGITS = 4

Summary = dict[str, float]


def summarize(times_ms: Sequence[float]) -> Summary:
    """Return p50, p95 and p99 of ``times_ms``, linearly interpolated, and their maximum as ``max``.

    Raises:
        InputError: there are none.
    """
    if not len(times_ms):
        raise InputError("times: none were measured; measure at least one frame")
    values = np.percentile(np.asarray(times_ms, np.float64), list(QUANTILES.values()))
    found = dict(zip(QUANTILES, values.tolist(), strict=True))
    return {name: round(value, _DIGITS) for name, value in {**found, "max": float(max(times_ms))}.items()}


def summarize_stages(frames: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    """Return :func:`summarize` of every stage, in the first frame's order; each frame maps stage to milliseconds."""
    stages = dict.fromkeys(stage for frame in frames for stage in frame)
    return {stage: summarize([frame[stage] for frame in frames if stage in frame]) for stage in stages}
