"""CUDA through PyTorch, with host memory instead of a GPU's: the calls are tested without a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from space_clip_ros.errors import BackendError, DeviceLostError
from space_clip_ros.inference.gpu import cuda_torch
from space_clip_ros.inference.gpu.cuda_torch import CudaTorch


class Device:
    """A fake of the part of ``torch.cuda`` that is used.

    Attributes:
        fails: whether every call that reaches the device fails.
        current: the device in use.
    """

    def __init__(self) -> None:
        self.fails, self.current = False, 0
        self.recording: list[Callable[[], None]] | None = None

    def check(self) -> None:
        if self.fails:
            raise RuntimeError("an illegal memory access was encountered")

    def empty(self, count: int, *, dtype: torch.dtype, device: Any = None, pin_memory: bool = False) -> torch.Tensor:
        self.check()
        if count > 1000:
            raise RuntimeError("CUDA out of memory")
        return torch.zeros(count, dtype=dtype)

    @contextlib.contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        self.check()
        yield

    @contextlib.contextmanager
    def graph(self, graph: Any, *, stream: Any, capture_error_mode: str) -> Iterator[None]:
        self.check()
        yield

    def namespace(self) -> SimpleNamespace:
        """Return what replaces ``torch`` in the module."""

        def use(device: torch.device) -> None:
            self.check()
            self.current = device.index

        def stream(device: torch.device) -> SimpleNamespace:
            self.check()
            return SimpleNamespace(cuda_stream=7)

        def free_memory(device: torch.device) -> tuple[int, int]:
            self.check()
            return 4 << 30, 8 << 30

        properties = SimpleNamespace(name="Fake Orin", major=8, minor=7, multi_processor_count=8)
        return SimpleNamespace(
            uint8=torch.uint8,
            Tensor=torch.Tensor,
            device=torch.device,
            empty=self.empty,
            cuda=SimpleNamespace(
                is_available=lambda: True,
                device_count=lambda: 2,
                get_device_properties=lambda index: properties,
                set_device=use,
                mem_get_info=free_memory,
                Stream=stream,
                Event=lambda blocking: SimpleNamespace(record=lambda stream: self.check(), synchronize=self.check),
                stream=self.stream,
                CUDAGraph=lambda: SimpleNamespace(replay=self.check),
                graph=self.graph,
            ),
        )


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(cuda_torch, "torch", device.namespace())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda stream: device.check())
    return device


def test_a_buffer_makes_a_round_trip(device: Device, check_round_trip: Callable[[Any], None]) -> None:
    cuda = CudaTorch(1)
    assert (cuda.gpu.index, cuda.gpu.name, cuda.gpu.compute_capability, cuda.stream) == (1, "Fake Orin", "8.7", 7)
    cuda.use()
    assert device.current == 1
    check_round_trip(cuda)
    cuda.close()


def test_a_device_that_is_not_there(device: Device) -> None:
    with pytest.raises(BackendError, match="device cuda:2: PyTorch sees 2 CUDA devices here"):
        CudaTorch(2)


def test_no_room(device: Device) -> None:
    with pytest.raises(BackendError, match=r"CUDA failed: no room for 0\.0 MB: CUDA out of memory"):
        CudaTorch(0).buffer((2000,), np.uint8)


def test_every_call_that_fails_is_one_of_our_errors(device: Device) -> None:
    cuda = CudaTorch(0)
    buffer = cuda.buffer((4,), np.uint8)
    launch = cuda.capture(lambda: cuda.upload(buffer))
    launch()
    device.fails = True
    calls = [lambda: cuda.upload(buffer), lambda: cuda.download(buffer), launch, cuda.synchronize, cuda.free_memory]
    for call in (*calls, cuda.use, lambda: cuda.buffer((4,), np.uint8), lambda: CudaTorch(0)):
        with pytest.raises(DeviceLostError, match=r"CUDA failed: .*an illegal memory access"):
            call()
    with pytest.raises(DeviceLostError, match="CUDA failed: an illegal memory access"):
        cuda.capture(lambda: None)
