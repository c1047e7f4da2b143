"""CUDA through PyTorch, for machines that have it but not ``cuda-python``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.gpu.cuda import Buffer, array_bytes, check_index
from space_clip_ros.inference.gpu.engine_key import Gpu
from space_clip_ros.inference.torch_errors import torch_error


class _PinnedBuffer(NamedTuple):
    host: npt.NDArray[Any]
    address: int
    page_locked: torch.Tensor
    on_device: torch.Tensor


class CudaTorch:
    """One device with one stream; see :class:`~space_clip_ros.inference.gpu.cuda.Cuda`."""

    def __init__(self, index: int) -> None:
        """Open device ``index``.

        Raises:
            BackendError: there is no such device, or it cannot be used.
            DeviceLostError: only a new process can use it.
        """
        check_index(index, torch.cuda.device_count() if torch.cuda.is_available() else 0, "PyTorch")
        self._device = torch.device("cuda", index)
        self._buffers: dict[int, _PinnedBuffer] = {}
        with self._errors():
            properties = torch.cuda.get_device_properties(index)
            self._stream = cast(Callable[[torch.device], torch.cuda.Stream], torch.cuda.Stream)(self._device)
            # who waits for it sleeps, where waiting for the stream would keep a core busy
            self._done = cast(Callable[..., torch.cuda.Event], torch.cuda.Event)(blocking=True)
        capability = f"{properties.major}.{properties.minor}"
        self.gpu = Gpu(index, properties.name, capability, properties.multi_processor_count)
        self.stream = int(self._stream.cuda_stream)

    def free_memory(self) -> int:
        """Return the bytes of device memory that nobody uses."""
        with self._errors():
            free, _ = torch.cuda.mem_get_info(self._device)
        return int(free)

    def use(self) -> None:
        """Make the device the calling thread's current one."""
        with self._errors():
            torch.cuda.set_device(self._device)

    def buffer(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        """Return a buffer; see :class:`~space_clip_ros.inference.gpu.cuda.Cuda`."""
        count = array_bytes(shape, dtype)
        with self._errors(f"no room for {count / 1e6:.1f} MB: "):
            page_locked = torch.empty(count, dtype=torch.uint8, pin_memory=True)
            on_device = torch.empty(count, dtype=torch.uint8, device=self._device)
        host = page_locked.numpy().view(np.dtype(dtype)).reshape(shape)
        pinned = _PinnedBuffer(host, on_device.data_ptr(), page_locked, on_device)
        self._buffers[pinned.address] = pinned
        return pinned

    def upload(self, buffer: Buffer) -> None:
        """Copy from host memory to the device."""
        pinned = self._buffers[buffer.address]
        with self._errors(), torch.cuda.stream(self._stream):
            pinned.on_device.copy_(pinned.page_locked, non_blocking=True)

    def download(self, buffer: Buffer) -> None:
        """Copy from the device to host memory."""
        pinned = self._buffers[buffer.address]
        with self._errors(), torch.cuda.stream(self._stream):
            pinned.page_locked.copy_(pinned.on_device, non_blocking=True)

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """Record a CUDA graph; see :class:`~space_clip_ros.inference.gpu.cuda.Cuda`."""
        graph = torch.cuda.CUDAGraph()
        with self._errors(), torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            enqueue()

        def launch() -> None:
            with self._errors(), torch.cuda.stream(self._stream):
                graph.replay()

        return launch

    def synchronize(self) -> None:
        """Wait for the stream; see :class:`~space_clip_ros.inference.gpu.cuda.Cuda`."""
        with self._errors():
            self._done.record(self._stream)
            self._done.synchronize()

    def close(self) -> None:
        """Free the buffers."""
        self._buffers.clear()

    @contextmanager
    def _errors(self, lead: str = "") -> Iterator[None]:
        """Raise PyTorch's errors as ours, with ``lead`` before the reason."""
        try:
            yield
        except BackendError:
            raise
        except RuntimeError as error:
            raise torch_error("CUDA failed", lead, error, self._device) from error
