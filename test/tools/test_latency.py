"""Latencies from stamps to arrivals."""

from __future__ import annotations

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.latency import ArrivalLog, percentiles, summarize, summarize_stages

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


def test_percentiles_are_interpolated() -> None:
    # 101 values 0 to 100: the p-th percentile is p itself
    assert summarize([float(value) for value in range(100, -1, -1)]) == {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    # between 1 and 3, half way is 2, 95 % of the way 2.9
    assert summarize([3.0, 1.0]) == pytest.approx({"p50": 2.0, "p95": 2.9, "p99": 2.98, "max": 3.0})


def test_one_time_is_all_of_them() -> None:
    assert set(summarize([7.0]).values()) == {7.0}


def test_no_times_are_refused() -> None:
    with pytest.raises(InputError, match="none were measured"):
        summarize([])


def test_stages_keep_their_order_and_may_be_absent_from_some_frames() -> None:
    stages = summarize_stages([{"copy_in": 1.0, "run": 4.0}, {"copy_in": 3.0, "run": 6.0, "copy_out": 2.0}])
    assert list(stages) == ["copy_in", "run", "copy_out"]
    assert [summary["p50"] for summary in stages.values()] == [2.0, 5.0, 2.0]
    assert summarize_stages([]) == {}
