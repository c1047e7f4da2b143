"""Percentiles against hand-computed ones."""

from __future__ import annotations

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.benchmark.percentiles import summarize, summarize_stages


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
