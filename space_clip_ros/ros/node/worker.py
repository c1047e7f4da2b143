"""A thread with a slot for each source: the newest item wins, so a slow engine lags by one frame, never by a queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Worker(Generic[T]):
    """Calls ``process`` on the newest items in its own thread; putting an item never waits.

    Sources are served in the order in which their slots were filled, and a slot keeps its place when its item is
    replaced. So a source that floods is served as often as the others, and no more.

    Args:
        process: what to do with the items taken together; at most one of each source.
        on_error: told of every exception that ``process`` raised; the thread goes on.
        name: the thread's name.
        together: how many items are taken at once at most.
        wait_s: returns how long to wait for others to join an item, seconds; asked each time, when ``together`` is
            above 1.
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
        # A daemon, so that an engine that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def put(self, item: T, source: str = "") -> bool:
        """Leave an item of a source for the thread; tell whether an older one was thrown away for it."""
        with self._changed:
            replaced = source in self._slots
            self._slots[source] = item
            self._changed.notify()
        return replaced

    def stop(self, timeout_s: float) -> bool:
        """Throw away what waits, let the items in work finish, end the thread; tell whether it ended in time."""
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
            self._attempt(items)

    def _attempt(self, items: list[T]) -> None:
        try:
            self._process(items)
        except Exception as error:
            self._on_error(error)
