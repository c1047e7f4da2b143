"""Reads ahead in a thread, and groups items that can be processed together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_END: Any = object()


def read_ahead(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """Yield ``items`` in order while a thread computes the next ones; at most ``ahead`` of them wait.

    An exception from ``items`` is raised here in place of the failed item. Close the generator to stop early.
    """
    pool = ThreadPoolExecutor(1, "read ahead")
    try:
        waiting = deque(pool.submit(next, items, _END) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, items, _END))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def batches(items: Iterator[T], most: int, alike: Callable[[T], Any]) -> Generator[list[T], None, None]:
    """Yield batches of at most ``most`` consecutive items for which ``alike`` returns equal values."""
    batch: list[T] = []
    for item in items:
        if batch and (len(batch) == most or alike(item) != alike(batch[0])):
            yield batch
            batch = []
        batch.append(item)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch
