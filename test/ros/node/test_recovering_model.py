"""A model that fails in mid-run: tried again with growing pauses, reported, never given up for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.recovering_model import Engine

IMAGE = np.zeros((8, 10, 3), np.uint8)


class Device:
    """Loads the real model; while it is broken, running it fails, and while it is lost, loading does, too."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.broken = self.lost = False
        self.loads = 0
        self.time = 1000.0
        self.lines: list[str] = []
        self.engine = Engine(self.load, lambda: 3, ThrottledLog(self), lambda: self.time)

    def load(self) -> Predictor:
        self.loads += 1
        if self.lost:
            raise BackendError("no such device")
        predictor = load_predictor(self.file, threads=1)
        working = predictor.run_batch

        def run(images: Any) -> Any:
            if self.broken:
                raise RuntimeError("out of memory")
            return working(images)

        predictor.run_batch = run  # type: ignore[method-assign]
        return predictor

    def warning(self, line: str) -> None:
        self.lines.append(line)

    error = warning

    def fail(self) -> float:
        """Run once in vain; return the pause that follows."""
        with pytest.raises((RuntimeError, BackendError)):
            self.engine.run([IMAGE])
        before = self.time
        while self.engine.resting():
            self.time += 0.25
        return self.time - before


@pytest.fixture
def device(tiny_model_file: Path) -> Device:
    return Device(tiny_model_file)


def test_it_runs(device):
    (prediction,) = device.engine.run([IMAGE])
    assert prediction.depth.shape == (8, 10)
    assert not device.engine.problem
    assert device.engine.device_memory() is None


def test_one_failure_costs_a_frame_and_no_pause(device):
    device.broken = True
    assert device.fail() == 0
    assert device.engine.problem == "the model failed: RuntimeError: out of memory"
    device.broken = False
    assert len(device.engine.run([IMAGE])) == 1
    assert device.loads == 1
    assert not device.engine.problem
    assert not device.lines


def test_pauses_double_and_the_model_is_loaded_again(device):
    device.broken = True
    assert [device.fail() for _ in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert device.loads == 8
    device.broken = False
    assert len(device.engine.run([IMAGE])) == 1
    assert device.lines[0] == (
        "the model failed 2 times in a row: RuntimeError: out of memory; it is loaded again in 0.5 s"
    )
    assert device.lines[-1] == "the model runs again after 9 failures"


def test_after_the_attempts_it_counts_as_failed_and_is_still_tried(device):
    device.lost = device.broken = True
    for _ in range(3):
        device.fail()
        assert not device.engine.failed
    device.fail()
    assert device.engine.failed
    assert device.engine.problem == "the model failed 4 times in a row: BackendError: no such device"
    assert device.engine.info.name == "tiny_random"
    device.lost = device.broken = False
    assert len(device.engine.run([IMAGE])) == 1
    assert not device.engine.failed


def test_many_failures_overflow_nothing(device):
    device.broken = True
    for _ in range(40):
        device.fail()
    device.engine._failures = 10_000
    assert device.fail() == 30


def test_a_new_start_tries_at_once(device):
    device.broken = True
    device.fail()
    with pytest.raises(RuntimeError):
        device.engine.run([IMAGE])
    assert device.engine.resting()
    device.engine.reset()
    assert not device.engine.resting()


def test_an_image_it_does_not_take_is_no_failure_of_the_engine(device):
    with pytest.raises(InputError):
        device.engine.run([IMAGE[:0]])
    assert not device.engine.problem


def test_closing_frees_it_and_it_may_be_closed_twice(device):
    device.engine.close()
    device.engine.close()
    assert device.engine.device_memory() is None


def test_a_model_that_cannot_be_loaded_at_all_raises(tmp_path: Path):
    def load() -> Predictor:
        return load_predictor(tmp_path / "none.onnx")

    with pytest.raises(ModelError):
        Engine(load, lambda: 1, ThrottledLog(None))


def test_a_warm_up_that_fails_is_left_for_the_image_to_report(tiny_model_file):
    device = Device(tiny_model_file)
    sizes: list[tuple[int, ...]] = []

    def warm_up(*size: int) -> None:
        sizes.append(size)
        raise RuntimeError("out of memory")

    device.engine._predictor.warm_up = warm_up
    device.engine.warm_up(8, 10, 2)
    assert sizes == [(8, 10, 2)]
    assert (device.engine.problem, device.lines, device.engine.resting()) == ("", [], False)
    device.broken = True
    device.fail()
    device.engine.warm_up(8, 10, 2)
    assert len(sizes) == 1
    device.engine.close()
