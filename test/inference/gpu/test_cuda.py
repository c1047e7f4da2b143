"""Which library CUDA is reached through, and what is said where there is none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import BackendError, DeviceLostError
from space_clip_ros.inference.gpu.cuda import array_bytes, device_index
from space_clip_ros.inference.gpu.open_cuda import open_cuda


def test_cuda_python_is_preferred(fake_gpu: Any, check_round_trip: Callable[[Any], None]) -> None:
    cuda = open_cuda("cuda")
    assert (cuda.gpu.name, cuda.gpu.compute_capability, cuda.gpu.index) == ("Fake Orin", "8.7", 0)
    check_round_trip(cuda)
    cuda.close()
    assert not fake_gpu.memory


def test_without_cuda_python_pytorch_is_used(uninstall: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("cuda", "cuda.bindings")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BackendError, match="device cuda:0: PyTorch sees 0 CUDA devices here; give device cpu or auto"):
        open_cuda("auto")


def test_a_cuda_package_without_bindings(uninstall: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("cuda")
    for name in [name for name in sys.modules if name.startswith("cuda.")]:
        monkeypatch.delitem(sys.modules, name)
    empty = ModuleType("cuda")
    vars(empty)["__path__"] = []
    monkeypatch.setitem(sys.modules, "cuda", empty)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BackendError, match=r"cuda-python: cannot be used here \(ImportError: .*; or .*: PyTorch"):
        open_cuda("auto")


def test_errors_of_cuda_are_passed_on(fake_gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpu.fails = "driver"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BackendError, match=r"CUDA failed: CUDA driver version is insufficient.*; or .* PyTorch sees 0"):
        open_cuda("cuda")


def test_a_lost_device_is_tried_through_no_other_library(fake_gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: pytest.fail("PyTorch was asked"))
    fake_gpu.lost = 700
    with pytest.raises(DeviceLostError, match=r"CUDA failed: an illegal memory access .* \(CUDA error 700\); start"):
        open_cuda("auto")


def test_every_call_is_one_of_the_bindings(project_root: Path) -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="needs cuda-python")
    source = (project_root / "space_clip_ros/inference/gpu/cuda_python.py").read_text(encoding="utf-8")
    names = set(re.findall(r"runtime\.(\w+(?:\.\w+)?)", source)) - {"cudart"}
    assert len(names) > 15
    missing = [name for name in names if not _has(runtime, name)]
    assert not missing


def _has(thing: object, name: str) -> bool:
    first, _, rest = name.partition(".")
    return hasattr(thing, first) and (not rest or _has(getattr(thing, first), rest))


def test_with_neither_library(uninstall: Callable[..., None]) -> None:
    uninstall("cuda", "cuda.bindings", "torch")
    with pytest.raises(BackendError, match="neither cuda-python nor torch is installed; pip install cuda-python"):
        open_cuda("auto")


def test_device_names() -> None:
    assert [device_index(device) for device in ("auto", "cuda", "cuda:2")] == [0, 0, 2]
    with pytest.raises(BackendError, match="device cpu: TensorRT runs on a GPU"):
        device_index("cpu")


def test_bytes_of_an_array() -> None:
    assert array_bytes((1, 375, 1242, 3), np.uint8) == 1_397_250
    assert array_bytes((1, 4, 5), np.float32) == 80
