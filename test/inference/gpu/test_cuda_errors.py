"""Errors of CUDA that a process recovers from, and those that end it."""

from __future__ import annotations

import pytest

from space_clip_ros.errors import BackendError, DeviceLostError
from space_clip_ros.inference.gpu.cuda_errors import STICKY, cuda_error, cuda_error_in_text


@pytest.mark.parametrize("code", [214, 220, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 810, 911])
def test_only_a_new_process_recovers(code: int) -> None:
    error = cuda_error("CUDA failed", "an illegal memory access was encountered", code)
    assert isinstance(error, DeviceLostError)
    assert error.reason == f"an illegal memory access was encountered (CUDA error {code})"
    assert "start the process again" in error.remedy


@pytest.mark.parametrize("code", [1, 2, 209, 701, 713, 720, 999])
def test_this_process_may_go_on(code: int) -> None:
    error = cuda_error("CUDA failed", "out of memory", code, "close what else uses it")
    assert type(error) is BackendError and error.remedy == "close what else uses it"


def test_the_codes_are_those_that_cuda_says_end_the_process() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="needs cuda-python")
    described = {error: " ".join((error.__doc__ or "").split()) for error in runtime.cudaError_t}
    ending = {int(error) for error, text in described.items() if "process must be terminated and relaunched" in text}
    assert len(ending) > 8 and ending == STICKY.keys() - {214, 220}
    for code, words in STICKY.items():
        assert runtime.cudaGetErrorString(runtime.cudaError_t(code))[1].decode() == words


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=orin ; expr=...", True),
        ("CUDA failure 2: out of memory ; GPU=0 ; hostname=orin700", False),
        ("CUDA error cudaErrorLaunchFailure:unspecified launch failure", True),
        ("Got invalid dimensions for input: image", False),
    ],
)
def test_onnxruntime_names_the_code_or_cudas_words_in_its_text(text: str, lost: bool) -> None:
    error = cuda_error_in_text("road.onnx", text)
    assert isinstance(error, DeviceLostError) == lost and text in str(error)
