"""Buffers that are made once, and CUDA graphs."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from space_clip_ros.inference.torch_runner import CudaStream, HostStream, TorchRunner

SHAPE = (2, 4, 6)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, *SHAPE, 3), dtype=np.uint8)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def reds(images: torch.Tensor) -> torch.Tensor:
    return images[..., 0].float() * 0.5


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=needs_cuda)])
def runner(request: pytest.FixtureRequest) -> TorchRunner:
    return TorchRunner(reds, SHAPE, HostStream() if request.param == "cpu" else CudaStream(torch.device("cuda", 0)))


def test_every_run_computes_its_own_images(runner: TorchRunner) -> None:
    for images in IMAGES:
        depths, _ = runner(list(images))
        np.testing.assert_array_equal(depths, images[..., 0] * np.float32(0.5))


def test_depth_is_the_callers_own(runner: TorchRunner) -> None:
    first, _ = runner(list(IMAGES[0]))
    kept = np.stack(first)
    first[0][:] = -1.0
    runner(list(IMAGES[1]))
    np.testing.assert_array_equal(first[1], kept[1])
    assert all(depth.dtype == np.float32 and depth.flags.writeable for depth in first)
    assert not np.shares_memory(first[0], first[1])


def test_images_of_any_layout(runner: TorchRunner) -> None:
    flipped = [image[::-1, :, ::-1] for image in IMAGES[0]]
    for image in flipped:
        image.flags.writeable = False
    depths, _ = runner(flipped)
    np.testing.assert_array_equal(depths, np.stack(flipped)[..., 0] * np.float32(0.5))


def test_stages_are_timed(runner: TorchRunner) -> None:
    _, stages_ms = runner(list(IMAGES[0]))
    assert list(stages_ms) == ["copy_in", "inference", "copy_out"]
    assert all(0 <= value < 1e4 for value in stages_ms.values())


def test_a_run_after_one_that_failed() -> None:
    failing = True

    def compute(images: torch.Tensor) -> torch.Tensor:
        if failing:
            raise RuntimeError("out of memory")
        return reds(images)

    runner = TorchRunner(compute, SHAPE, HostStream())
    with pytest.raises(RuntimeError, match="out of memory"):
        runner(list(IMAGES[0]))
    failing = False
    _, stages_ms = runner(list(IMAGES[0]))
    assert len(stages_ms) == 3


def test_threads_do_not_mix_their_images(runner: TorchRunner) -> None:
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(30):
            depths, _ = runner(list(IMAGES[index]))
            if not np.array_equal(depths, IMAGES[index][..., 0] * np.float32(0.5)):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(IMAGES))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_cuda
def test_a_computation_that_cannot_be_captured_runs_eagerly_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def waits(images: torch.Tensor) -> torch.Tensor:
        return reds(images) + float(images.float().mean().cpu()) * 0.0

    with caplog.at_level(logging.WARNING):
        runner = TorchRunner(waits, SHAPE, CudaStream(torch.device("cuda", 0)))
    assert len(caplog.records) == 1 and "cuda:0: no CUDA graph" in caplog.text
    np.testing.assert_array_equal(runner(list(IMAGES[0]))[0], IMAGES[0][..., 0] * np.float32(0.5))


class CudaRecorder:
    """Replaces a stream, an event and a graph of PyTorch's CUDA, and records its calls."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def wait_stream(self, other: object) -> None:
        self.calls.append(f"wait for {other}")

    def record(self, stream: CudaRecorder) -> None:
        self.calls.append("record")

    def elapsed_time(self, end: CudaRecorder) -> float:
        return 0.25

    def replay(self) -> None:
        self.calls.append("replay")


@pytest.fixture
def cuda_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A fake of PyTorch's CUDA; the calls to it, in order."""
    calls: list[str] = []
    for name in ("Stream", "CUDAGraph"):
        monkeypatch.setattr(torch.cuda, name, lambda *args, **named: CudaRecorder(calls))

    def event(enable_timing: bool, blocking: bool) -> CudaRecorder:
        assert enable_timing and blocking  # who waits for it sleeps
        return CudaRecorder(calls)

    monkeypatch.setattr(torch.cuda, "Event", event)
    for name in ("device", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda *args: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "the default stream")

    @contextlib.contextmanager
    def graph(*args: object, **named: object) -> Iterator[None]:
        calls.append(f"capture {named['capture_error_mode']}")
        yield

    monkeypatch.setattr(torch.cuda, "graph", graph)
    return calls


def test_a_graph_is_captured_after_warming_up_and_then_only_replayed(cuda_calls: list[str]) -> None:
    def compute(images: torch.Tensor) -> torch.Tensor:
        cuda_calls.append("compute")
        return reds(images)

    stream = CudaStream(torch.device("cpu"))
    launch = stream.prepare(compute, torch.from_numpy(IMAGES[0]))
    warm_up = ["wait for the default stream", "compute", "compute", "compute", "synchronize"]
    assert cuda_calls == [*warm_up, "capture thread_local", "compute"]
    cuda_calls.clear()
    assert launch() is launch()
    assert cuda_calls == ["replay", "replay"]


def test_a_failed_capture_is_one_line_and_runs_eagerly(cuda_calls: list[str], caplog: pytest.LogCaptureFixture) -> None:
    def compute(images: torch.Tensor) -> torch.Tensor:
        if cuda_calls[-1].startswith("capture"):
            raise RuntimeError("operation not permitted when stream is capturing\nSearch for it in ...")
        return reds(images)

    with caplog.at_level(logging.WARNING):
        launch = CudaStream(torch.device("cpu")).prepare(compute, torch.from_numpy(IMAGES[0]))
    (record,) = caplog.records
    expected = "cpu: no CUDA graph, which makes every run slower (operation not permitted when stream is capturing)"
    assert record.getMessage() == expected
    cuda_calls.append("later")
    np.testing.assert_array_equal(launch().numpy(), IMAGES[0][..., 0] * np.float32(0.5))


def test_times_are_those_between_marks_of_this_run(cuda_calls: list[str]) -> None:
    stream = CudaStream(torch.device("cpu"))
    with stream.scope():
        stream.mark()
    with stream.scope():
        for _ in range(4):
            stream.mark()
        cuda_calls.clear()
        assert stream.finish() == [0.25, 0.25, 0.25]
    assert cuda_calls == ["synchronize"]
