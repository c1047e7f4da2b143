"""Pairs messages of two topics that carry the same stamp."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


class StampPairs(Generic[A, B]):
    """Keeps items of two topics until the partner with exactly the same stamp arrives.

    Both sides hold at most ``limit`` items; the oldest leaves first and counts as unpaired. Stamps are compared
    exactly because both messages copy them from one image.
    """

    def __init__(self, limit: int = 64) -> None:
        """``limit``: the most items kept on each side."""
        self._limit = limit
        self._first: OrderedDict[int, A] = OrderedDict()
        self._second: OrderedDict[int, B] = OrderedDict()
        self._left_behind = 0

    def add_first(self, stamp_ns: int, item: A) -> tuple[A, B] | None:
        """Return the pair that ``item`` completes, or keep it."""
        if stamp_ns in self._second:
            return item, self._second.pop(stamp_ns)
        self._keep(self._first, stamp_ns, item)
        return None

    def add_second(self, stamp_ns: int, item: B) -> tuple[A, B] | None:
        """Return the pair that ``item`` completes, or keep it."""
        if stamp_ns in self._first:
            return self._first.pop(stamp_ns), item
        self._keep(self._second, stamp_ns, item)
        return None

    @property
    def unpaired(self) -> int:
        """Items dropped without a partner."""
        return self._left_behind

    @property
    def waiting(self) -> tuple[int, int]:
        """Items of each side that still wait for a partner."""
        return len(self._first), len(self._second)

    def _keep(self, side: OrderedDict[int, T], stamp_ns: int, item: T) -> None:
        if stamp_ns in side:
            self._left_behind += 1
        side[stamp_ns] = item
        if len(side) > self._limit:
            side.popitem(last=False)
            self._left_behind += 1
