"""Computing ahead in threads, and batches of items that are alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from space_clip_ros.data.read_ahead import batches, map_ahead, read_ahead


def test_items_come_in_order_from_another_thread() -> None:
    threads = set()

    def count() -> Iterator[int]:
        for number in range(20):
            threads.add(threading.current_thread())
            yield number

    assert list(read_ahead(count(), 3)) == list(range(20))
    assert threading.main_thread() not in threads
    assert len(threads) == 1


def test_no_more_than_asked_are_ready_ahead() -> None:
    made: list[int] = []

    def count() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    ahead = read_ahead(count(), 2)
    assert next(ahead) == 0
    ahead.close()
    assert len(made) <= 3


def test_an_error_is_raised_where_it_belongs() -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    ahead = read_ahead(fail(), 4)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_no_more_than_ahead_are_computed_before_they_are_asked_for() -> None:
    computed: list[int] = []
    fourth = threading.Event()

    def compute(number: int) -> int:
        computed.append(number)
        if number == 3:
            fourth.set()
        return number

    ahead = map_ahead(compute, range(100), 3)
    assert next(ahead) == 0
    assert fourth.wait(10)
    ahead.close()
    assert computed == [0, 1, 2, 3]


def test_several_threads_compute_at_once_and_results_stay_in_order() -> None:
    both = threading.Barrier(2)

    def compute(number: int) -> int:
        both.wait(10)
        return number * number

    assert list(map_ahead(compute, range(20), 5, threads=2)) == [number * number for number in range(20)]


def test_neighbours_that_are_alike_run_together() -> None:
    def parity(number: int) -> int:
        return number % 2

    assert list(batches(iter([1, 3, 5, 7, 2, 4, 1]), 3, parity)) == [[1, 3, 5], [7], [2, 4], [1]]
    assert list(batches(iter([]), 3, parity)) == []
    assert list(batches(iter([1, 3]), 1, parity)) == [[1], [3]]
