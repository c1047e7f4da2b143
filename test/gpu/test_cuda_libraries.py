"""Memory, copies and CUDA graphs on a real device, through both libraries; and a device that is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

LOSES_THE_DEVICE = """
import torch
from space_clip_ros.errors import DeviceLostError
from space_clip_ros.inference.gpu.cuda_torch import CudaTorch
cuda = CudaTorch(0)
torch._assert_async(torch.zeros(1, device="cuda:0"))
try:
    cuda.synchronize()
    torch.cuda.synchronize()
    cuda.synchronize()
except DeviceLostError as error:
    print(error)
"""


@pytest.fixture(params=["cuda_python", "cuda_torch"])
def cuda(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "cuda_python":
        pytest.importorskip("cuda.bindings.runtime")
        from space_clip_ros.inference.gpu.cuda_python import CudaPython as Library
    else:
        if not pytest.importorskip("torch").cuda.is_available():
            pytest.skip("this PyTorch sees no GPU")
        from space_clip_ros.inference.gpu.cuda_torch import CudaTorch as Library
    opened = Library(0)
    yield opened
    opened.close()


def test_what_is_copied_to_the_device_comes_back(cuda: Any) -> None:
    assert cuda.gpu.name and cuda.gpu.multiprocessors > 0 and cuda.free_memory() > 0
    buffer = cuda.buffer((2, 3), np.float32)
    buffer.host[:] = np.arange(6).reshape(2, 3)
    cuda.upload(buffer)
    cuda.synchronize()
    buffer.host[:] = 0
    cuda.download(buffer)
    cuda.synchronize()
    assert buffer.host.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_recorded_graph_copies_what_the_memory_holds_at_its_launch(cuda: Any) -> None:
    buffer = cuda.buffer((4,), np.uint8)

    def there_and_back() -> None:
        cuda.upload(buffer)
        cuda.download(buffer)

    launch = cuda.capture(there_and_back)
    for value in (3, 7):
        buffer.host[:] = value
        launch()
        cuda.synchronize()
        assert buffer.host.tolist() == [value] * 4


def test_a_failed_assertion_on_the_device_loses_it() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch sees no GPU")
    program = [sys.executable, "-c", LOSES_THE_DEVICE]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert "start the process again" in done.stdout, done.stderr
