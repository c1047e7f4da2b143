"""PyTorch's errors: the device itself says whether this process may still use it."""

from __future__ import annotations

import pytest
import torch

from space_clip_ros.errors import BackendError, DeviceLostError
from space_clip_ros.inference.torch_errors import torch_error

CUDA = torch.device("cuda", 0)
ERROR = RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported later")


def test_a_device_that_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    error = torch_error("road.pt", "PyTorch failed on cuda:0: ", ERROR, CUDA)
    assert type(error) is BackendError
    assert str(error) == "road.pt: PyTorch failed on cuda:0: CUDA error: an illegal memory access was encountered"


def test_a_device_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: torch.device) -> None:
        raise ERROR

    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    error = torch_error("road.pt", "", ERROR, CUDA)
    assert isinstance(error, DeviceLostError) and "start the process again" in error.remedy


def test_a_device_that_cannot_be_used_for_another_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: torch.device) -> None:
        raise RuntimeError("CUDA error: out of memory")  # as where there is no room for CUDA itself

    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    assert type(torch_error("road.pt", "", RuntimeError("CUDA error: out of memory"), CUDA)) is BackendError


def test_on_the_cpu_no_device_is_asked() -> None:
    assert type(torch_error("road.pt", "", RuntimeError("out of memory"), torch.device("cpu"))) is BackendError
