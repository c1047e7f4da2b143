"""Libraries that are there, missing or broken, each loaded in a process of its own."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

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
