"""Runs a long call into a library so that Ctrl-C ends it: Python acts on a signal only between its own instructions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")
_WAKE_S = 0.1


def interruptible(call: Callable[[Callable[[], bool]], _Result]) -> _Result:
    """Return what ``call`` returns, or raise what it raises; it runs in a separate thread.

    If this thread is interrupted meanwhile, the call is asked to end, and the interruption continues once it has.

    Args:
        call: gets a function that returns whether it should end early.
    """
    # Events, not Thread.join: Python up to 3.12 takes a thread for ended once a signal has interrupted its join.
    begun, cancelled, ended = threading.Event(), threading.Event(), threading.Event()
    results: list[_Result] = []
    failures: list[BaseException] = []

    def work() -> None:
        begun.set()
        try:
            results.append(call(cancelled.is_set))
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    try:
        threading.Thread(target=work, name="interruptible", daemon=True).start()
        while not ended.wait(_WAKE_S):
            pass
    except BaseException:
        cancelled.set()
        if begun.is_set():
            ended.wait()
        raise
    if failures:
        raise failures[0]
    return results[0]
