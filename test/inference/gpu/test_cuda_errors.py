"""Errors of CUDA that a process recovers from, and those that end it."""

from __future__ import annotations

import pytest

from space_clip_ros.errors import BackendError, DeviceLostError
from space_clip_ros.inference.gpu.cuda_errors import cuda_error, cuda_error_in_text


@pytest.mark.parametrize("code", [214, 700, 702, 710, 714, 715, 716, 717, 718, 719])
def test_only_a_new_process_recovers(code: int) -> None:
    error = cuda_error("CUDA failed", "an illegal memory access was encountered", code)
    assert isinstance(error, DeviceLostError)
    assert error.reason == f"an illegal memory access was encountered (CUDA error {code})"
    assert "start the process again" in error.remedy


@pytest.mark.parametrize("code", [1, 2, 209, 701, 713, 720, 999])
def test_this_process_may_go_on(code: int) -> None:
    error = cuda_error("CUDA failed", "out of memory", code, "close what else uses it")
    assert type(error) is BackendError and error.remedy == "close what else uses it"


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=orin ; expr=...", True),
        ("CUDA failure 2: out of memory ; GPU=0 ; hostname=orin700", False),
        ("Got invalid dimensions for input: image", False),
    ],
)
def test_onnxruntime_names_the_code_in_its_text(text: str, lost: bool) -> None:
    error = cuda_error_in_text("road.onnx", text)
    assert isinstance(error, DeviceLostError) == lost and text in str(error)
