"""Hands messages to one worker thread: only the newest of each source waits, and sources are served in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Scheduler(Generic[T]):
    """Calls ``process`` on the newest items in its own thread; putting an item never waits.

    So a slow model lags by one image, never by a queue. Sources are served in the order in which their slots were
    filled, and a slot keeps its place when its item is replaced: a source that floods is served as often as the
    others, and no more.

    Args:
        process: what to do with the items taken together, at most one of each source.
        on_error: called with every exception that ``process`` raised; the thread continues.
        name: the thread's name.
        together: the most items taken at once.
        wait_s: returns how long to wait for other sources to join an item, seconds; called each time, when
            ``together`` is above 1.
    """

    def __init__(
        self,
        process: Callable[[list[T]], None],
        on_error: Callable[[Exception], None],
        name: str,
        together: int = 1,
        wait_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Keep the arguments; :meth:`start` starts the thread."""
        self._process = process
        self._on_error = on_error
        self._name = name
        self._together = together
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._slots: dict[str, T] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the thread; it must not be running."""
        self._stopping = False
        # A daemon, so that a model that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def put(self, item: T, source: str = "") -> bool:
        """Leave an item of a source for the thread; return whether it replaced an older one."""
        with self._changed:
            replaced = source in self._slots
            self._slots[source] = item
            self._changed.notify()
        return replaced

    def stop(self, timeout_s: float) -> bool:
        """Drop waiting items, let the thread finish its current ones, and end it; return whether it ended in time."""
        if self._thread is None:
            return True
        with self._changed:
            self._stopping = True
            self._slots.clear()
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._thread = None
        return True

    def _take(self) -> list[T]:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._slots)
            if self._together > 1:
                self._changed.wait_for(lambda: self._stopping or len(self._slots) >= self._together, self._wait_s())
            if self._stopping:
                return []
            return [self._slots.pop(source) for source in list(self._slots)[: self._together]]

    def _run(self) -> None:
        while items := self._take():
            try:
                self._process(items)
            except Exception as error:
                self._on_error(error)
