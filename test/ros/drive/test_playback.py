"""Timing of a played drive."""

from __future__ import annotations

import threading

import pytest

from space_clip_ros.ros.drive.playback import Pacer, Timetable, wait_for_subscribers

TENTH = 100_000_000


def test_frames_are_due_at_the_drives_own_moments() -> None:
    timetable = Timetable([5_000_000_000, 5_100_000_000, 5_250_000_000], speed=1.0)
    assert [timetable.due_s(frame) for frame in range(3)] == pytest.approx([0.0, 0.1, 0.25])


def test_speed_shortens_the_waits_but_not_the_stamps() -> None:
    timetable = Timetable([0, TENTH, 2 * TENTH], speed=4.0)
    assert timetable.due_s(2) == pytest.approx(0.05)
    assert timetable.stamp_ns(2) == 2 * TENTH
    assert timetable.frame_rate == pytest.approx(40.0)
    assert timetable.stamp_at(0.05) == 2 * TENTH


def test_a_second_pass_goes_on_in_time() -> None:
    timetable = Timetable([TENTH, 2 * TENTH, 3 * TENTH], speed=1.0)
    assert [timetable.stamp_ns(frame) for frame in range(7)] == [TENTH * step for step in range(1, 8)]
    assert timetable.due_s(3) == pytest.approx(0.3)


def test_a_drive_of_one_frame_lasts_a_tenth_of_a_second() -> None:
    timetable = Timetable([7], speed=1.0)
    assert timetable.stamp_ns(1) == 7 + TENTH
    assert timetable.frame_rate == pytest.approx(10.0)


def test_a_moment_in_the_past_counts_as_late() -> None:
    pacer = Pacer(threading.Event(), late_s=0.05)
    pacer.start()
    assert pacer.wait_until(-1.0)
    pacer.note(-1.0)
    pacer.note(60.0)
    assert pacer.late == 1
    assert pacer.worst_s >= 1.0


def test_a_wait_ends_when_stopped_and_ticks_meanwhile() -> None:
    stopping = threading.Event()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            stopping.set()

    pacer = Pacer(stopping, late_s=0.05)
    pacer.start()
    assert not pacer.wait_until(60.0, tick_s=0.001, on_tick=tick)
    assert len(ticks) == 3
    assert pacer.late == 0


def test_playing_waits_until_no_more_subscribers_come() -> None:
    counts = iter([0, 0, 1, 1, 2, 3])
    counted: list[int] = []

    def count() -> int:
        counted.append(next(counts, 3))
        return counted[-1]

    assert wait_for_subscribers(threading.Event(), count, 30.0)
    assert counted[-1] == 3
    assert not wait_for_subscribers(threading.Event(), lambda: 0, 0.0)


def test_being_stopped_ends_the_wait_for_subscribers() -> None:
    stopping = threading.Event()
    stopping.set()
    assert not wait_for_subscribers(stopping, lambda: 0, 30.0)
    assert wait_for_subscribers(stopping, lambda: 1, 30.0)
