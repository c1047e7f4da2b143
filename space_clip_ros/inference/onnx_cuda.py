"""What a process does before ONNX Runtime first uses CUDA in it."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
from functools import cache

import onnxruntime

_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC
_log = logging.getLogger(__name__)


@cache
def preload_libraries() -> None:
    """Load the CUDA and cuDNN that pip has installed, where the system's loader does not look for them."""
    # ONNX Runtime before 1.21 cannot, and one that is not built for CUDA need not.
    if not (hasattr(onnxruntime, "preload_dlls") and getattr(onnxruntime, "cuda_version", None)):
        return
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        onnxruntime.preload_dlls()
    if text := " ".join(printed.getvalue().split()):
        _log.warning("ONNX Runtime's CUDA: %s", text)


@cache
def sleep_while_waiting(index: int) -> None:
    """Let threads that wait for device ``index`` sleep; ONNX Runtime's would keep a core busy.

    Without a driver, or with one that refuses, nothing happens.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return
    device = ctypes.c_int()
    if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), index) == 0:
        driver.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC)
