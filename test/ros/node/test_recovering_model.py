"""A model that fails in mid-run: tried again with growing pauses, reported, never given up for good."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import BackendError, DeviceLostError, InputError, ModelError
from space_clip_ros.inference import load_predictor
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.ros.common.throttled_log import ThrottledLog
from space_clip_ros.ros.node.recovering_model import RecoveringModel

IMAGE = np.zeros((8, 10, 3), np.uint8)


class Device:
    """Loads the real model; while it is broken, running it fails, and while it is gone, loading does, too."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.broken = self.gone = False
        self.failure: Exception = RuntimeError("out of memory")
        self.absence = BackendError("no such device")
        self.ended: list[DeviceLostError] = []
        self.loads = 0
        self.time = 1000.0
        self.lines: list[str] = []
        self.preparing: list[tuple[int, int] | None] = []
        self.model = RecoveringModel(self.load, lambda: 3, ThrottledLog(self), lambda: self.time, self.ended.append)

    def load(self) -> Predictor:
        self.loads += 1
        if self.gone:
            raise self.absence
        predictor = load_predictor(self.file, threads=1)
        working = predictor.run_batch

        def run(images: Any, language: bool = True) -> Any:
            self.preparing.append(self.model.preparing)
            if self.broken:
                raise self.failure
            return working(images, language)

        predictor.run_batch = run  # type: ignore[method-assign]
        return predictor

    def warning(self, line: str) -> None:
        self.lines.append(line)

    error = warning

    def fail(self) -> float:
        """Run once in vain; return the pause that follows."""
        with pytest.raises((RuntimeError, BackendError)):
            self.model.run_batch([IMAGE])
        before = self.time
        while self.model.resting():
            self.time += 0.25
        return self.time - before


@pytest.fixture
def device(tiny_model_file: Path) -> Device:
    return Device(tiny_model_file)


def test_it_runs(device):
    (prediction,) = device.model.run_batch([IMAGE])
    assert prediction.depth.shape == (8, 10)
    assert not device.model.problem
    assert device.model.device_memory() is None


def test_it_says_for_which_new_images_it_is_being_made_ready(device):
    other = np.zeros((12, 16, 3), np.uint8)
    assert device.model.preparing is None
    for images in ([IMAGE], [IMAGE], [other], [other, other], [IMAGE]):
        device.model.run_batch(images)
        device.time += 1.0
    assert device.preparing == [(8, 10), None, (12, 16), (12, 16), None]
    assert device.model.preparing is None


def test_what_arrived_meanwhile_is_waited_for_and_a_failure_prepares_nothing(device):
    device.model.warm_up(8, 10, 1)
    assert device.model.preparing == (8, 10)
    device.time += 0.9
    assert device.model.preparing == (8, 10)
    device.time += 0.2
    assert device.model.preparing is None
    device.broken = True
    device.fail()
    assert device.model.preparing is None


def test_one_failure_costs_a_frame_and_no_pause(device):
    device.broken = True
    assert device.fail() == 0
    assert device.model.problem == "the model failed: RuntimeError: out of memory"
    device.broken = False
    assert len(device.model.run_batch([IMAGE])) == 1
    assert device.loads == 1
    assert not device.model.problem
    assert not device.lines


def test_pauses_double_and_the_model_is_loaded_again(device):
    device.broken = True
    assert [device.fail() for _ in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert device.loads == 8
    device.broken = False
    assert len(device.model.run_batch([IMAGE])) == 1
    assert device.lines[0] == (
        "the model failed 2 times in a row: RuntimeError: out of memory; it is loaded again in 0.5 s"
    )
    assert device.lines[-1] == "the model runs again after 9 failures"


def test_after_the_attempts_it_counts_as_failed_and_is_still_tried(device, tiny_model_file):
    device.gone = device.broken = True
    for _ in range(3):
        device.fail()
        assert not device.model.failed
    device.fail()
    assert device.model.failed
    assert device.model.problem == "the model failed 4 times in a row: BackendError: no such device"
    assert device.model.info.name == tiny_model_file.stem
    device.gone = device.broken = False
    assert len(device.model.run_batch([IMAGE])) == 1
    assert not device.model.failed


def test_many_failures_overflow_nothing(device):
    device.broken = True
    for _ in range(40):
        device.fail()
    device.model._failures = 10_000
    assert device.fail() == 30


def test_a_new_start_tries_at_once(device):
    device.broken = True
    device.fail()
    with pytest.raises(RuntimeError):
        device.model.run_batch([IMAGE])
    assert device.model.resting()
    device.model.reset()
    assert not device.model.resting()


def test_an_image_it_does_not_take_is_no_failure_of_the_model(device):
    with pytest.raises(InputError):
        device.model.run_batch([IMAGE[:0]])
    assert not device.model.problem


def test_closing_frees_it_and_it_may_be_closed_twice(device):
    device.model.close()
    device.model.close()
    assert device.model.device_memory() is None


def test_a_model_that_cannot_be_loaded_at_all_raises(tmp_path: Path):
    def load() -> Predictor:
        return load_predictor(tmp_path / "none.onnx")

    with pytest.raises(ModelError):
        RecoveringModel(load, lambda: 1, ThrottledLog(None))


def test_a_warm_up_that_fails_is_left_for_the_image_to_report(tiny_model_file):
    device = Device(tiny_model_file)
    sizes: list[tuple[int, ...]] = []

    def warm_up(*size: int) -> None:
        sizes.append(size)
        raise RuntimeError("out of memory")

    device.model._predictor.warm_up = warm_up
    device.model.warm_up(8, 10, 2)
    assert sizes == [(8, 10, 2)]
    assert (device.model.problem, device.lines, device.model.resting()) == ("", [], False)
    device.broken = True
    device.fail()
    device.model.warm_up(8, 10, 2)
    assert len(sizes) == 1
    device.model.close()


def test_a_model_that_comes_back_on_another_backend_says_so(device):
    device.broken = True
    for _ in range(2):
        device.fail()
    working = device.load

    def elsewhere() -> Predictor:
        predictor = working()
        opened = predictor._backend
        assert opened is not None
        opened.info = dataclasses.replace(
            predictor.info, backend="torch", device="cuda:0", passed_over=("tensorrt on cuda (it broke)",)
        )
        return predictor

    device.broken = False
    device.model._load = elsewhere
    device.model.run_batch([IMAGE])
    assert (device.model.info.backend, device.model.info.device) == ("torch", "cuda:0")
    line = "the model now runs on torch, cuda:0; it ran on onnxruntime, cpu (tensorrt on cuda (it broke))"
    assert line in device.lines


def test_what_the_backend_says_of_itself_while_it_runs_is_passed_on(device):
    opened = device.model._predictor._backend
    opened.info = dataclasses.replace(opened.info, device="cuda:1")
    assert device.model.info.device == "cuda:1"
    device.model.close()
    assert device.model.info.device == "cuda:1"


def test_a_lost_gpu_is_never_tried_again_and_ends_the_node(device):
    device.failure, device.broken = DeviceLostError("CUDA failed", "an illegal memory access", "start again"), True
    with pytest.raises(DeviceLostError):
        device.model.run_batch([IMAGE])
    assert device.ended == [device.failure]
    assert (device.model.lost, device.model.failed, device.loads) == (True, True, 1)
    expected = "the model failed for good: DeviceLostError: CUDA failed: an illegal memory access; start again"
    assert device.model.problem == expected
    device.time += 1e6
    assert device.model.resting()
    # closing would call into a library that cannot free anything any more
    device.model.close()
    assert device.model._predictor is not None


def test_a_gpu_that_is_lost_when_the_model_is_loaded_again_ends_the_node(device):
    device.broken = device.gone = True
    device.fail()
    device.fail()
    device.absence = DeviceLostError("CUDA failed", "an illegal memory access", "start again")
    with pytest.raises(DeviceLostError):
        device.model.run_batch([IMAGE])
    assert (device.ended, device.model.lost) == ([device.absence], True)
