"""Computes what is needed next in threads, and groups items that can be processed together."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")

_END: Any = object()


def map_ahead(
    function: Callable[[S], T], inputs: Iterable[S], ahead: int, threads: int = 1
) -> Generator[T, None, None]:
    """Yield ``function``'s results in order while threads compute the next ones; at most ``ahead`` of them wait.

    An exception from ``function`` is raised here in place of its result. Close the generator to stop early.
    """
    remaining = iter(inputs)
    pool = ThreadPoolExecutor(threads, "read ahead")
    try:
        waiting = deque(pool.submit(function, item) for item in itertools.islice(remaining, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in itertools.islice(remaining, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def read_ahead(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """Yield ``items`` in order while a thread computes the next ones; see :func:`map_ahead`."""
    computed = map_ahead(lambda _: next(items, _END), itertools.repeat(None), ahead)
    with contextlib.closing(computed):
        yield from itertools.takewhile(lambda item: item is not _END, computed)


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
