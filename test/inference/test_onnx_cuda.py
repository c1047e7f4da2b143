"""What happens before ONNX Runtime first uses CUDA; the driver's library is built with the C compiler."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from space_clip_ros.errors import BackendError
from space_clip_ros.inference import load_predictor, onnx_cuda

DRIVER = r"""
#include <stdio.h>
int cuInit(unsigned flags) { return INIT; }
int cuDeviceGet(int *device, int index) { *device = index + 10; return 0; }
int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) { printf("%d %u\n", device, flags); return 0; }
"""


@pytest.fixture(autouse=True)
def _anew() -> None:
    onnx_cuda.preload_libraries.cache_clear()
    onnx_cuda.sleep_while_waiting.cache_clear()


@pytest.mark.parametrize(("init", "expected"), [(0, "11 4\n"), (100, "")])
def test_threads_that_wait_for_the_gpu_sleep(tmp_path: Path, init: int, expected: str) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "driver.c").write_text(DRIVER, encoding="ascii")
    command = [compiler, f"-DINIT={init}", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", tmp_path / "driver.c"]
    subprocess.run(command, check=True)
    program = "from space_clip_ros.inference.onnx_cuda import sleep_while_waiting as sleep; sleep(1); sleep(1)"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == expected


def test_pips_cuda_libraries_are_loaded_once_before_the_first_session(
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls: list[str] = []
    opened = onnxruntime.InferenceSession

    def session(*arguments: object, providers: list[object], **options: object) -> object:
        calls.append("session" if len(providers) > 1 else "metadata")
        return opened(*arguments, providers=providers, **options)

    def preload() -> None:
        calls.append("libraries")
        print("Failed to load libcudnn.so.9: no such file\nPlease follow the guide")

    monkeypatch.setattr(onnxruntime, "cuda_version", "12.8")
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    for _ in range(2):
        with pytest.raises(BackendError):
            load_predictor(model_dir / "fixed.onnx", backend="onnxruntime", device="cuda")
    assert calls[:3] == ["metadata", "libraries", "session"] and calls.count("libraries") == 1
    assert not capsys.readouterr().out
    (text,) = (record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert text == "ONNX Runtime's CUDA: Failed to load libcudnn.so.9: no such file Please follow the guide"


def test_an_onnx_runtime_for_cpus_loads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "cuda_version", "")
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: pytest.fail("it would print a warning"))
    onnx_cuda.preload_libraries()
