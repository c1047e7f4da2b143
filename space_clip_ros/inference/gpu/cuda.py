"""What an engine needs of CUDA, from ``cuda-python`` or from PyTorch, whichever is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.gpu.engine_key import Gpu


class Buffer(Protocol):
    """One array twice: in page-locked host memory and on the device."""

    @property
    def host(self) -> npt.NDArray[Any]:
        """The host's side."""
        ...

    @property
    def address(self) -> int:
        """Where the device's side begins."""
        ...


class Cuda(Protocol):
    """One device with one stream; everything asked of it is done on that stream, in order.

    Attributes:
        gpu: the device.
        stream: the stream's handle, a ``cudaStream_t`` as a number.
    """

    gpu: Gpu
    stream: int

    def use(self) -> None:
        """Make the device the calling thread's current one."""
        ...

    def buffer(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        """Return a buffer that lives until :meth:`close`.

        Raises:
            BackendError: there is no room for it.
        """
        ...

    def upload(self, buffer: Buffer) -> None:
        """Copy the host's side to the device."""
        ...

    def download(self, buffer: Buffer) -> None:
        """Copy the device's side to the host."""
        ...

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        """Record what ``work`` asks of the stream, without running it.

        Returns:
            What launches all of it in one call; None where it cannot be recorded.
        """
        ...

    def synchronize(self) -> None:
        """Wait until everything asked of the stream is done.

        Raises:
            BackendError: something of it failed.
        """
        ...

    def close(self) -> None:
        """Free the stream, the buffers and the recordings."""
        ...


def device_index(device: str) -> int:
    """Return N of cuda:N; 0 for cuda and auto.

    Raises:
        BackendError: the device is no GPU.
    """
    if device in ("auto", "cuda"):
        return 0
    if not device.startswith("cuda:"):
        raise BackendError(f"device {device}: TensorRT runs on a GPU; give device cuda or auto")
    return int(device.partition(":")[2])


def check_index(index: int, present: int, library: str) -> None:
    """Refuse a device that is not there.

    Raises:
        BackendError: it is not.
    """
    if index >= present:
        raise BackendError(f"device cuda:{index}: {library} sees {present} CUDA devices here; give device cpu or auto")


def array_bytes(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    """Return how many bytes an array takes."""
    return int(np.prod(shape)) * np.dtype(dtype).itemsize
