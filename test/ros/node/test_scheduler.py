"""The worker with one slot."""

from __future__ import annotations

import threading

from space_clip_ros.ros.node.scheduler import Scheduler


class Engine:
    """Processes only when allowed to."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)
        self.done: list[object] = []
        self.errors: list[Exception] = []

    def process(self, items: list[object]) -> None:
        (item,) = items
        self.entered.release()
        assert self.allowed.acquire(timeout=30)
        if isinstance(item, Exception):
            raise item
        self.done.append(item)

    def worker(self) -> Scheduler[object]:
        worker: Scheduler[object] = Scheduler(self.process, self.errors.append, "test worker")
        worker.start()
        return worker


def test_the_newest_wins_and_replacements_are_told():
    engine = Engine()
    worker = engine.worker()
    assert not worker.put("a")
    assert engine.entered.acquire(timeout=30)
    assert not worker.put("b")
    assert worker.put("c")
    engine.allowed.release(2)
    assert engine.entered.acquire(timeout=30)
    engine.allowed.release()
    assert worker.stop(30)
    assert engine.done == ["a", "c"]


def test_an_error_is_told_and_the_next_item_is_processed():
    engine = Engine()
    worker = engine.worker()
    error = ValueError("bad item")
    engine.allowed.release(2)
    worker.put(error)
    assert engine.entered.acquire(timeout=30)
    worker.put("good")
    assert engine.entered.acquire(timeout=30)
    assert worker.stop(30)
    assert engine.errors == [error]
    assert engine.done == ["good"]


def test_stopping_drops_what_waits_and_finishes_what_runs():
    engine = Engine()
    worker = engine.worker()
    worker.put("running")
    assert engine.entered.acquire(timeout=30)
    worker.put("waiting")
    assert not worker.stop(0.01)
    engine.allowed.release(2)
    assert worker.stop(30)
    assert engine.done == ["running"]


def test_it_starts_again_after_a_stop():
    engine = Engine()
    worker = engine.worker()
    assert worker.stop(30)
    assert worker.stop(30)
    worker.start()
    engine.allowed.release()
    worker.put("again")
    assert engine.entered.acquire(timeout=30)
    assert worker.stop(30)
    assert engine.done == ["again"]


class Batches:
    """Notes what is taken together, one step at a time."""

    def __init__(self, together: int, wait_s: float = 0.0) -> None:
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)
        self.taken: list[list[str]] = []
        self.worker: Scheduler[str] = Scheduler(self.process, self.fail, "batches", together, lambda: wait_s)
        self.worker.start()

    def process(self, items: list[str]) -> None:
        self.taken.append(items)
        self.entered.release()
        assert self.allowed.acquire(timeout=30)

    def fail(self, error: Exception) -> None:
        raise error

    def step(self) -> None:
        self.allowed.release()
        assert self.entered.acquire(timeout=30)

    def end(self) -> None:
        self.allowed.release(10)
        assert self.worker.stop(30)


def test_a_source_that_floods_takes_turns_with_the_others():
    engine = Batches(together=1)
    engine.worker.put("flood 0", "flood")
    assert engine.entered.acquire(timeout=30)
    for number in range(1, 100):
        engine.worker.put(f"flood {number}", "flood")
    engine.worker.put("front", "front")
    engine.worker.put("rear", "rear")
    engine.step()
    for number in range(100, 200):
        engine.worker.put(f"flood {number}", "flood")
    engine.step()
    engine.step()
    engine.step()
    engine.end()
    assert engine.taken == [["flood 0"], ["flood 99"], ["front"], ["rear"], ["flood 199"]]


def test_what_waits_is_taken_together_one_of_each_source():
    engine = Batches(together=2)
    engine.worker.put("front 0", "front")
    assert engine.entered.acquire(timeout=30)
    for item, source in (("front 1", "front"), ("rear 1", "rear"), ("front 2", "front"), ("left 1", "left")):
        engine.worker.put(item, source)
    engine.step()
    engine.step()
    engine.end()
    assert engine.taken == [["front 0"], ["front 2", "rear 1"], ["left 1"]]


def test_an_item_waits_for_the_other_sources():
    engine = Batches(together=2, wait_s=60.0)
    engine.worker.put("front", "front")
    assert not engine.entered.acquire(timeout=0.05)
    engine.worker.put("rear", "rear")
    assert engine.entered.acquire(timeout=30)
    engine.end()
    assert engine.taken == [["front", "rear"]]


def test_an_item_does_not_wait_for_ever():
    engine = Batches(together=2, wait_s=0.05)
    engine.worker.put("front", "front")
    assert engine.entered.acquire(timeout=30)
    engine.end()
    assert engine.taken == [["front"]]
