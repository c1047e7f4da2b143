"""What a GPU alone can show; everything here is skipped without one."""

from __future__ import annotations

import ctypes

import pytest


def gpus() -> int:
    """Return the number of GPUs that NVIDIA's driver has."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    return 0 if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) else count.value


@pytest.fixture(scope="session", autouse=True)
def _device() -> None:
    if not gpus():
        pytest.skip("needs an NVIDIA GPU")
