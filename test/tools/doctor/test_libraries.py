"""Libraries that are there, missing or broken, each loaded in a process of its own."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from space_clip_ros.tools.doctor import libraries
from space_clip_ros.tools.doctor.libraries import installed, loaded


def test_what_is_installed_here() -> None:
    (fact,) = installed()
    assert fact.value["numpy"] == np.__version__
    assert not fact.advice


def test_two_packages_of_one_module(monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        version = "1.23.2"

    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [Installed])
    (fact,) = installed()
    assert "onnxruntime and onnxruntime-gpu are both installed and share one module" in fact.advice


def test_a_library_that_loads() -> None:
    (fact,) = loaded("onnxruntime", "onnxruntime")()
    assert fact.value["version"] == onnxruntime.__version__
    assert fact.value["providers"] == onnxruntime.get_available_providers()


def test_missing_ones(broken: Callable[[str, str], None]) -> None:
    for module, name in (("tensorrt", "tensorrt"), ("onnxruntime", "onnxruntime")):
        broken(module, f"raise ModuleNotFoundError('No module named {name}', name='{name}')")
    (optional,) = loaded("tensorrt", "tensorrt")()
    assert (optional.value, optional.shown, optional.advice) == (None, "not installed (tensorrt)", "")
    (needed,) = loaded("onnxruntime", "onnxruntime")()
    assert needed.shown == "not installed (onnxruntime)"
    assert needed.advice.startswith("onnxruntime: is not installed for this Python")


def test_a_broken_one_says_what_to_do(broken: Callable[[str, str], None]) -> None:
    broken("cv2", "raise ImportError('numpy.core.multiarray failed to import')")
    (fact,) = loaded("opencv", "opencv")()
    assert fact.problem.startswith("cv2: is built for another NumPy than the installed")
    assert fact.advice == f"opencv does not load: {fact.problem}"


FAKE_ONNXRUNTIME = """
import os
__version__ = "1.23.2"
get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
class InferenceSession:
    def __init__(self, model, providers, enable_fallback):
        {action}
    def get_providers(self):
        return {providers}
"""
MISSING = "libcublasLt.so.12: cannot open shared object file"
FAILED = f"[E:onnxruntime] Failed to load library x.so with error: {MISSING}"


@pytest.mark.parametrize(
    ("action", "providers", "problem"),
    [
        (f"os.write(2, b'\\x1b[1;31m{FAILED}\\x1b[m\\n[W] Require CUDA')", ["CPUExecutionProvider"], MISSING),
        ("os.write(2, b'[W] Require CUDA')", ["CPUExecutionProvider"], "[W] Require CUDA"),
        ("raise RuntimeError('CUDA failure 35')", [], "RuntimeError: CUDA failure 35"),
        ("pass", ["CUDAExecutionProvider"], None),
    ],
)
def test_an_onnx_runtime_that_does_not_start_on_cuda(
    broken: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    providers: list[str],
    problem: str | None,
) -> None:
    broken("onnxruntime", FAKE_ONNXRUNTIME.format(action=action, providers=providers))
    (without_gpu,) = loaded("onnxruntime", "onnxruntime")()
    assert without_gpu.value.get("cuda_problem") == problem
    monkeypatch.setattr(libraries, "_SIGNS_OF_A_GPU", ("/proc",))
    (with_gpu,) = loaded("onnxruntime", "onnxruntime")()
    assert with_gpu.advice == (f"ONNX Runtime does not start on CUDA: {problem}" if problem else "")


def test_an_older_cuda_python(broken: Callable[[str, str], None], tmp_path: Path) -> None:
    (tmp_path / "broken" / "cuda").mkdir()
    (tmp_path / "broken" / "cuda" / "__init__.py").touch()
    broken("cuda/cudart", "cudaRuntimeGetVersion = lambda: (0, 12020)")
    (fact,) = loaded("cuda_python", "cuda_python")()
    assert fact.value == {"module": "cuda.cudart", "cuda": "12.2"}


FAKE_TORCH = """
class version: cuda = {cuda!r}
class cuda: is_available = staticmethod(lambda: False)
__version__ = "2.9"
"""


@pytest.mark.parametrize(
    ("built_for", "advice"), [("13.0", "is built for CUDA 13.0 and sees no GPU"), (None, "is built without CUDA")]
)
def test_a_pytorch_that_does_not_see_the_gpu(
    broken: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, built_for: str | None, advice: str
) -> None:
    broken("torch", FAKE_TORCH.format(cuda=built_for))
    (without_gpu,) = loaded("torch", "torch")()
    monkeypatch.setattr(libraries, "_SIGNS_OF_A_GPU", ("/proc",))
    (with_gpu,) = loaded("torch", "torch")()
    assert not without_gpu.advice
    assert advice in with_gpu.advice
