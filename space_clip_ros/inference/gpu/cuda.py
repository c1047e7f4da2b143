"""The CUDA calls that an engine needs, which ``cuda-python`` and PyTorch both implement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.gpu.engine_key import Gpu


class Buffer(Protocol):
    """An array with two copies: in page-locked host memory and on the device."""

    @property
    def host(self) -> npt.NDArray[Any]:
        """The copy in host memory."""
        ...

    @property
    def address(self) -> int:
        """The address of the copy on the device."""
        ...


class Cuda(Protocol):
    """One device with one stream; all work goes to that stream, in order.

    Attributes:
        gpu: the device.
        stream: the stream's handle, a ``cudaStream_t`` as a number.
    """

    gpu: Gpu
    stream: int

    def free_memory(self) -> int:
        """Return the bytes of device memory that nobody uses."""
        ...

    def use(self) -> None:
        """Make the device the calling thread's current one."""
        ...

    def buffer(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        """Return a buffer that lives until :meth:`close`.

        Raises:
            BackendError: there is not enough memory.
            DeviceLostError: only a new process can use the GPU.
        """
        ...

    def upload(self, buffer: Buffer) -> None:
        """Copy from host memory to the device."""
        ...

    def download(self, buffer: Buffer) -> None:
        """Copy from the device to host memory."""
        ...

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """Record as a CUDA graph what ``enqueue`` submits to the stream, without running it.

        Returns:
            A function that launches the graph in one call.

        Raises:
            BackendError: the work cannot be recorded, or its graph not be made; the stream works as before.
            DeviceLostError: this process can no longer use the GPU.
        """
        ...

    def synchronize(self) -> None:
        """Wait until all work on the stream is done, without keeping a processor core busy.

        Raises:
            BackendError: some of it failed.
            DeviceLostError: it failed, and this process can no longer use the GPU.
        """
        ...

    def close(self) -> None:
        """Free the stream, the buffers and the graphs; closing twice is fine."""
        ...


def device_index(device: str) -> int:
    """Return N of cuda:N; 0 for cuda and auto.

    Raises:
        BackendError: the device is not a GPU.
    """
    if device in ("auto", "cuda"):
        return 0
    if not device.startswith("cuda:"):
        raise BackendError(f"device {device}", "TensorRT runs on a GPU", "give device cuda or auto")
    return int(device.partition(":")[2])


def check_index(index: int, present: int, library: str) -> None:
    """Reject a device that does not exist.

    Raises:
        BackendError: it does not.
    """
    if index >= present:
        raise BackendError(
            f"device cuda:{index}", f"{library} sees {present} CUDA devices here", "give device cpu or auto"
        )


def array_bytes(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    """Return the size of an array in bytes."""
    return int(np.prod(shape)) * np.dtype(dtype).itemsize
