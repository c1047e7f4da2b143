"""Rates, ages, drops and stages, by a clock of our own."""

from __future__ import annotations

import pytest

from space_clip_ros.messages.diagnostics import Drop
from space_clip_ros.ros.node.statistics import Snapshot, Statistics


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def test_nothing_happened_yet(time):
    assert Statistics(time).snapshot() == Snapshot()


def test_rates_are_over_the_last_five_seconds(time):
    statistics = Statistics(time)
    for step in range(100):
        time.now = 0.1 * (step + 1)
        statistics.receive()
        if step % 2:
            statistics.publish(50.0, {})
    snapshot = statistics.snapshot()
    assert (snapshot.received, snapshot.published) == (100, 50)
    assert snapshot.received_hz == pytest.approx(10.0, abs=0.3)
    assert snapshot.published_hz == pytest.approx(5.0, abs=0.3)
    time.now += 4.0
    assert statistics.snapshot().received_hz == pytest.approx(2.0, abs=0.3)
    assert statistics.snapshot().seconds_since_image == pytest.approx(4.0)
    time.now += 10.0
    assert statistics.snapshot().received_hz == 0.0


def test_a_young_stream_is_not_measured_over_time_it_did_not_live(time):
    statistics = Statistics(time)
    for _ in range(10):
        time.now += 0.1
        statistics.receive()
    assert statistics.snapshot().received_hz == pytest.approx(10.0)


def test_ages_and_stages(time):
    statistics = Statistics(time)
    for age in range(101):
        statistics.publish(float(age), {"convert": age / 10, "engine": 7.0})
    snapshot = statistics.snapshot()
    assert snapshot.age_ms == (50.0, 95.0)
    assert snapshot.stages_ms == {"convert": 5.0, "engine": 7.0}
    assert list(snapshot.stages_ms) == ["convert", "engine"]


def test_images_without_a_stamp_have_no_age(time):
    statistics = Statistics(time)
    statistics.publish(7.0, {})
    statistics.publish(None, {})
    assert statistics.snapshot().age_ms == ()
    assert statistics.snapshot().published == 2
    statistics.publish(9.0, {})
    assert statistics.snapshot().age_ms[0] == 8.0


def test_images_lost_on_the_way_are_not_among_those_received(time):
    statistics = Statistics(time)
    time.now = 10.0
    statistics.lose(3)
    statistics.lose(2)
    snapshot = statistics.snapshot()
    assert (snapshot.received, snapshot.lost, snapshot.lost_hz) == (0, 5, 1.0)
    time.now = 20.0
    assert (statistics.snapshot().lost, statistics.snapshot().lost_hz) == (5, 0.0)


def test_drops_by_reason_and_the_last_problem(time):
    statistics = Statistics(time)
    statistics.drop(Drop.BAD_IMAGE, "step is wrong")
    statistics.drop(Drop.REPLACED)
    statistics.drop(Drop.REPLACED)
    assert statistics.snapshot().dropped == {Drop.BAD_IMAGE: 1, Drop.REPLACED: 2}
    assert statistics.snapshot().problem == "step is wrong"
    time.now = 6.0
    assert statistics.snapshot().problem == ""
    statistics.note("no camera_info", no_camera_info=True)
    assert (statistics.snapshot().problem, statistics.snapshot().no_camera_info) == ("no camera_info", True)
    time.now = 12.0
    assert not statistics.snapshot().no_camera_info


def test_reset_forgets_everything(time):
    statistics = Statistics(time)
    statistics.receive()
    statistics.publish(1.0, {"engine": 1.0})
    statistics.drop(Drop.FAILED, "y")
    time.now = 3.0
    statistics.reset()
    assert statistics.snapshot() == Snapshot()
    time.now = 5.0
    assert statistics.seconds_since_reset() == 2.0
