"""The worker with one slot."""

from __future__ import annotations

import threading

from space_clip_ros.ros.worker import Worker


class Engine:
    """Processes only when allowed to."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)
        self.done: list[object] = []
        self.errors: list[Exception] = []

    def process(self, item: object) -> None:
        self.entered.release()
        assert self.allowed.acquire(timeout=30)
        if isinstance(item, Exception):
            raise item
        self.done.append(item)

    def worker(self) -> Worker[object]:
        worker: Worker[object] = Worker(self.process, self.errors.append, "test worker")
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
