"""A thread with one slot: the newest item wins, so a slow engine lags by one frame and never builds a queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Worker(Generic[T]):
    """Calls ``process`` on the newest item in its own thread; putting an item never waits.

    Args:
        process: what to do with an item.
        on_error: told of every exception that ``process`` raised; the thread goes on.
        name: the thread's name.
    """

    def __init__(self, process: Callable[[T], None], on_error: Callable[[Exception], None], name: str) -> None:
        """Keep the arguments; :meth:`start` starts the thread."""
        self._process = process
        self._on_error = on_error
        self._name = name
        self._changed = threading.Condition()
        self._item: T | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the thread; it must not be running."""
        self._stopping = False
        # A daemon, so that an engine that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> bool:
        """Leave an item for the thread; tell whether an older one was thrown away for it."""
        with self._changed:
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
        return replaced

    def stop(self, timeout_s: float) -> bool:
        """Throw away what waits, let the item in work finish, end the thread; tell whether it ended in time."""
        if self._thread is None:
            return True
        with self._changed:
            self._stopping = True
            self._item = None
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._thread = None
        return True

    def _take(self) -> T | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._item is not None)
            item, self._item = self._item, None
            return None if self._stopping else item

    def _run(self) -> None:
        while (item := self._take()) is not None:
            self._attempt(item)

    def _attempt(self, item: T) -> None:
        try:
            self._process(item)
        except Exception as error:
            self._on_error(error)
