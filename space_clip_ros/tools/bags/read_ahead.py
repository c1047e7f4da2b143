"""Spreading work: reading ahead in a thread, and images that can run together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_END: Any = object()


def read_ahead(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """Yield ``items``, which a thread works out while the caller is busy; at most ``ahead`` of them wait.

    What ``items`` raises is raised here, in its place.
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
    """Yield runs of at most ``most`` neighbouring items for which ``alike`` returns the same."""
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
