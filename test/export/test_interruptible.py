"""A long call in a thread of its own: its result, its error, and its early end."""

from __future__ import annotations

import signal
import threading

import pytest

from space_clip_ros.export.interruptible import interruptible


def test_results_and_errors_are_passed_on() -> None:
    assert interruptible(lambda cancelled: (cancelled(), threading.current_thread().name)) == (False, "interruptible")
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda cancelled: 1 // 0)


def test_ctrl_c_asks_the_call_to_end_and_waits_for_it() -> None:
    ended: list[bool] = []

    def work(cancelled: object) -> None:
        signal.raise_signal(signal.SIGINT)
        while not cancelled():  # type: ignore[operator]
            pass
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        interruptible(work)
    assert ended == [True]
