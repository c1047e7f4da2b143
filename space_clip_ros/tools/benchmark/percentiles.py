"""Run times as percentiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from space_clip_ros.errors import InputError
from space_clip_ros.tools.latency import percentiles

_DIGITS = 4

Summary = dict[str, float]


def summarize(times_ms: Sequence[float]) -> Summary:
    """Return p50, p95, p99 and max of ``times_ms``, to 0.1 microseconds.

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
