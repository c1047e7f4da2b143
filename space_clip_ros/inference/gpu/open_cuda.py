"""Opens a CUDA device through ``cuda-python`` or PyTorch, whichever is installed and works."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from space_clip_ros.errors import BackendError, describe
from space_clip_ros.inference.gpu.cuda import Cuda, device_index


def open_cuda(device: str) -> Cuda:
    """Open a device, with ``cuda-python`` where that works and else with PyTorch.

    Args:
        device: auto, cuda or cuda:N.

    Raises:
        BackendError: neither library is installed or works, or there is no such device.
    """
    index = device_index(device)
    reasons: list[str] = []
    for library, opened in (("cuda-python", _through_cuda_python), ("torch", _through_torch)):
        cuda = _attempt(library, partial(opened, index), reasons)
        if cuda is not None:
            return cuda
    raise BackendError(
        "; or ".join(reasons)
        or "TensorRT needs CUDA from Python: neither cuda-python nor torch is installed; pip install cuda-python"
    )


def _attempt(library: str, opened: Callable[[], Cuda], reasons: list[str]) -> Cuda | None:
    """Open through one library; where that fails, add the reason unless the library is not installed."""
    try:
        return opened()
    except ModuleNotFoundError:
        pass
    except BackendError as error:
        reasons.append(str(error))
    except (ImportError, OSError, RuntimeError) as error:
        # broken, or without a driver
        reasons.append(f"{library} cannot be used here ({describe(error)})")
    return None


def _through_cuda_python(index: int) -> Cuda:
    from space_clip_ros.inference.gpu.cuda_python import CudaPython

    return CudaPython(index)


def _through_torch(index: int) -> Cuda:
    from space_clip_ros.inference.gpu.cuda_torch import CudaTorch

    return CudaTorch(index)
