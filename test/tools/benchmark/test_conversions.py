"""Every conversion is timed; no time is judged."""

from __future__ import annotations

from space_clip_ros.tools.benchmark.conversions import time_conversions


def test_every_conversion_is_timed() -> None:
    result = time_conversions(64, 48, stride=2, runs=3)
    assert len(result) == 9
    assert {"bgr8 image to RGB", "depth to 32FC1 image", "depth cut to its range", "depth to coloured points"} < set(
        result
    )
    for times in result.values():
        assert set(times) == {"p50", "p95", "p99", "max"}
        assert 0 <= times["p50"] <= times["max"]
