"""Which library CUDA is reached through, and what is said where there is none."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.cuda import array_bytes, device_index, open_cuda


def test_cuda_python_is_preferred(fake_gpu: Any) -> None:
    cuda = open_cuda("cuda")
    assert (cuda.gpu.name, cuda.gpu.compute_capability, cuda.gpu.index) == ("Fake Orin", "8.7", 0)
    buffer = cuda.buffer((2, 3), np.float32)
    buffer.host[:] = np.arange(6).reshape(2, 3)
    cuda.upload(buffer)
    buffer.host[:] = 0
    cuda.download(buffer)
    cuda.synchronize()
    assert buffer.host.tolist() == [[0, 1, 2], [3, 4, 5]]
    cuda.close()
    assert not fake_gpu.memory


def test_without_cuda_python_pytorch_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "space_clip_ros.inference.cuda_python", raising=False)
    for name in ("cuda", "cuda.bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BackendError, match="device cuda:0: PyTorch sees 0 CUDA devices here; give device cpu or auto"):
        open_cuda("auto")


def test_with_neither_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda_python", "cuda_torch"):
        monkeypatch.delitem(sys.modules, f"space_clip_ros.inference.{name}", raising=False)
    for name in ("cuda", "cuda.bindings", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match="neither cuda-python nor torch is installed; pip install cuda-python"):
        open_cuda("auto")


def test_device_names() -> None:
    assert [device_index(device) for device in ("auto", "cuda", "cuda:2")] == [0, 0, 2]
    with pytest.raises(BackendError, match="device cpu: TensorRT runs on a GPU"):
        device_index("cpu")


def test_bytes_of_an_array() -> None:
    assert array_bytes((1, 375, 1242, 3), np.uint8) == 1_397_250
    assert array_bytes((1, 4, 5), np.float32) == 80
