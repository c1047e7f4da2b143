"""Opens a CUDA device through ``cuda-python`` or PyTorch, whichever is installed and works."""

from __future__ import annotations

from collections.abc import Callable

from space_clip_ros.errors import BackendError, DeviceLostError, describe
from space_clip_ros.inference.gpu.cuda import Cuda, device_index


def open_cuda(device: str) -> Cuda:
    """Open a device with ``cuda-python`` if that works, else with PyTorch.

    Args:
        device: auto, cuda or cuda:N.

    Raises:
        BackendError: neither library is installed or works, or there is no such device.
        DeviceLostError: only a new process can use the GPU; no further library is tried.
    """
    index = device_index(device)
    failures: list[BackendError] = []
    for library, opener in (("cuda-python", _through_cuda_python), ("torch", _through_torch)):
        opened = _attempt(library, opener, index)
        if isinstance(opened, BackendError):
            failures.append(opened)
        elif opened is not None:
            return opened
    if not failures:
        raise BackendError(
            "TensorRT needs CUDA from Python",
            "neither cuda-python nor torch is installed",
            "pip install cuda-python",
        )
    last = failures.pop()
    raise BackendError("; or ".join([*map(str, failures), last.what]), last.reason, last.remedy)


def _attempt(library: str, opener: Callable[[int], Cuda], index: int) -> Cuda | BackendError | None:
    """Open a device with one library; return the error if that fails, and None if the library is not installed."""
    try:
        return opener(index)
    except ModuleNotFoundError:
        return None
    except DeviceLostError:
        raise
    except BackendError as error:
        return error
    except (ImportError, OSError, RuntimeError) as error:
        # broken, or without a driver
        return BackendError(library, f"cannot be used here ({describe(error)})")


def _through_cuda_python(index: int) -> Cuda:
    from space_clip_ros.inference.gpu.cuda_python import CudaPython

    return CudaPython(index)


def _through_torch(index: int) -> Cuda:
    from space_clip_ros.inference.gpu.cuda_torch import CudaTorch

    return CudaTorch(index)
