"""Pairs messages of two topics by their stamps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


class StampPairs(Generic[A, B]):
    """Keeps items of two topics until the partner with the same stamp arrives.

    Both sides hold at most ``limit`` items; the oldest leaves first and counts as unpaired.

    Args:
        limit: the most items kept on each side.
        tolerance_ns: how far the stamps of a pair may be apart; of several items the nearest is the partner. Depth and
            truth with the stamp of one image need no tolerance.

    Attributes:
        received: items of each side so far.
        nearest_ns: the smallest difference between the stamps of two items that did not pair; None if there were none.
    """

    def __init__(self, limit: int = 64, tolerance_ns: int = 0) -> None:
        """Start with both sides empty."""
        self._limit = limit
        self._tolerance_ns = tolerance_ns
        self._first: OrderedDict[int, A] = OrderedDict()
        self._second: OrderedDict[int, B] = OrderedDict()
        self._left_behind = 0
        self.received = (0, 0)
        self.nearest_ns: int | None = None

    def add_first(self, stamp_ns: int, item: A) -> tuple[A, B] | None:
        """Return the pair that ``item`` completes, or keep it."""
        self.received = (self.received[0] + 1, self.received[1])
        partner = self._partner(self._second, stamp_ns)
        if partner is not None:
            return item, self._second.pop(partner)
        self._keep(self._first, stamp_ns, item)
        return None

    def add_second(self, stamp_ns: int, item: B) -> tuple[A, B] | None:
        """Return the pair that ``item`` completes, or keep it."""
        self.received = (self.received[0], self.received[1] + 1)
        partner = self._partner(self._first, stamp_ns)
        if partner is not None:
            return self._first.pop(partner), item
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

    def _partner(self, side: OrderedDict[int, T], stamp_ns: int) -> int | None:
        """Return the stamp in ``side`` that is the same, or the nearest within the tolerance."""
        if stamp_ns in side:
            return stamp_ns
        if not side:
            return None
        nearest = min(side, key=lambda other: abs(other - stamp_ns))
        difference = abs(nearest - stamp_ns)
        if difference <= self._tolerance_ns:
            return nearest
        self.nearest_ns = difference if self.nearest_ns is None else min(difference, self.nearest_ns)
        return None

    def _keep(self, side: OrderedDict[int, T], stamp_ns: int, item: T) -> None:
        if stamp_ns in side:
            self._left_behind += 1
        side[stamp_ns] = item
        if len(side) > self._limit:
            side.popitem(last=False)
            self._left_behind += 1
