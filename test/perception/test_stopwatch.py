"""Stages are timed one after the other."""

from __future__ import annotations

from space_clip_ros.perception.stopwatch import Stopwatch


def test_stages_keep_their_order():
    watch = Stopwatch()
    watch.lap("convert")
    watch.lap("engine")
    assert list(watch.stages_ms) == ["convert", "engine"]
    assert all(value >= 0 for value in watch.stages_ms.values())


def test_a_restart_leaves_out_what_was_before(monkeypatch):
    clock = iter([0.0, 10.0, 10.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    watch = Stopwatch()
    watch.restart()
    watch.lap("points")
    assert watch.stages_ms == {"points": 500.0}
