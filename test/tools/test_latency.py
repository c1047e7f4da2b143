"""Latencies from stamps to arrivals."""

from __future__ import annotations

import pytest

from space_clip_ros.tools.latency import ArrivalLog, percentiles

MS = 1_000_000


def test_percentiles_of_one_to_hundred_and_one() -> None:
    assert percentiles(range(1, 102)) == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "max": 101.0}


def test_nothing_has_no_percentiles() -> None:
    assert percentiles([]) is None


def test_a_frame_is_complete_with_its_last_output() -> None:
    log = ArrivalLog(["depth", "points"])
    log.add("depth", 100 * MS, 130 * MS)
    log.add("depth", 200 * MS, 225 * MS)
    log.add("points", 100 * MS, 150 * MS)
    assert log.received() == {"depth": 2, "points": 1}
    assert log.complete() == {100 * MS: 150 * MS}
    assert log.latencies_ms("depth") == pytest.approx([30.0, 25.0])
    assert log.latencies_ms("depth", {200 * MS}) == pytest.approx([25.0])
    assert log.overall_ms() == pytest.approx([50.0])
    assert log.rate_hz() is None


def test_rate_is_that_of_complete_frames() -> None:
    log = ArrivalLog(["depth"])
    for frame in range(5):
        log.add("depth", frame * 100 * MS, frame * 100 * MS + 20 * MS)
    assert log.rate_hz() == pytest.approx(10.0)


def test_only_the_first_arrival_counts() -> None:
    log = ArrivalLog(["depth"])
    log.add("depth", 0, 5 * MS)
    log.add("depth", 0, 9 * MS)
    assert log.latencies_ms("depth") == pytest.approx([5.0])
