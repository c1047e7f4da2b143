"""CUDA through ``cuda-python``, NVIDIA's own bindings, versions 11.4 to 13."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.gpu.cuda import Buffer, array_bytes, check_index
from space_clip_ros.inference.gpu.cuda_errors import cuda_error
from space_clip_ros.inference.gpu.engine_key import Gpu

try:
    from cuda.bindings import runtime
except ModuleNotFoundError:
    # its name before cuda-python 12.6
    from cuda import cudart as runtime

_NON_BLOCKING = 1  # cudaStreamNonBlocking: does not wait for the legacy default stream
_SLEEPING = 3  # cudaEventBlockingSync | cudaEventDisableTiming: waiting for it sleeps


class _PinnedBuffer(NamedTuple):
    host: npt.NDArray[Any]
    address: int
    host_address: int


class CudaPython:
    """One device with one stream; see :class:`~space_clip_ros.inference.gpu.cuda.Cuda`."""

    def __init__(self, index: int) -> None:
        """Open device ``index``.

        Raises:
            BackendError: there is no such device, or the driver does not suit these bindings.
        """
        check_index(index, int(_checked(runtime.cudaGetDeviceCount())), "cuda-python")
        properties = _checked(runtime.cudaGetDeviceProperties(index))
        name = properties.name
        self.gpu = Gpu(
            index,
            name.decode() if isinstance(name, bytes) else str(name),
            f"{properties.major}.{properties.minor}",
            int(properties.multiProcessorCount),
        )
        self._buffers: list[_PinnedBuffer] = []
        self._graphs: list[Any] = []
        self.use()
        self._stream = _checked(runtime.cudaStreamCreateWithFlags(_NON_BLOCKING))
        # cuda-python's newer versions deprecate int(stream), and all of them have the address of the handle
        self.stream = ctypes.c_size_t.from_address(self._stream.getPtr()).value
        self._done = _checked(runtime.cudaEventCreateWithFlags(_SLEEPING))
        # also if nobody closes it, and only once
        self._free = weakref.finalize(self, _free, index, self._graphs, self._buffers, self._done, self._stream)
        self._free.atexit = False

    def free_memory(self) -> int:
        """Return the bytes of device memory that nobody uses."""
        self.use()
        free, _ = _checked(runtime.cudaMemGetInfo())
        return int(free)

    def use(self) -> None:
        """Make the device the calling thread's current one."""
        _checked(runtime.cudaSetDevice(self.gpu.index))

    def buffer(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        """Return a buffer; see :class:`~space_clip_ros.inference.gpu.cuda.Cuda`."""
        count = array_bytes(shape, dtype)
        host_address = int(_checked(runtime.cudaHostAlloc(count, 0)))
        try:
            address = int(_checked(runtime.cudaMalloc(count)))
        except BackendError:
            runtime.cudaFreeHost(host_address)
            raise
        memory = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(host_address))
        buffer = _PinnedBuffer(memory.view(np.dtype(dtype)).reshape(shape), address, host_address)
        self._buffers.append(buffer)
        return buffer

    def upload(self, buffer: Buffer) -> None:
        """Copy from host memory to the device."""
        self._copy(buffer.address, buffer.host.ctypes.data, buffer, runtime.cudaMemcpyKind.cudaMemcpyHostToDevice)

    def download(self, buffer: Buffer) -> None:
        """Copy from the device to host memory."""
        self._copy(buffer.host.ctypes.data, buffer.address, buffer, runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost)

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """Record a CUDA graph; see :class:`~space_clip_ros.inference.gpu.cuda.Cuda`."""
        # ThreadLocal, so that other threads of the process may allocate meanwhile
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _checked(runtime.cudaStreamBeginCapture(self._stream, mode))
        try:
            enqueue()
        except BackendError:
            # ends the capture; anything recorded is useless
            _, graph = runtime.cudaStreamEndCapture(self._stream)
            if graph:
                runtime.cudaGraphDestroy(graph)
            raise
        graph = _checked(runtime.cudaStreamEndCapture(self._stream))
        try:
            launched = _checked(runtime.cudaGraphInstantiateWithFlags(graph, 0))
        finally:
            runtime.cudaGraphDestroy(graph)
        self._graphs.append(launched)
        return lambda: _checked(runtime.cudaGraphLaunch(launched, self._stream))

    def synchronize(self) -> None:
        """Wait for the stream; see :class:`~space_clip_ros.inference.gpu.cuda.Cuda`."""
        # cudaStreamSynchronize would spin on a core, which robots have few of.
        _checked(runtime.cudaEventRecord(self._done, self._stream))
        _checked(runtime.cudaEventSynchronize(self._done))

    def close(self) -> None:
        """Free everything, even if the device has failed; closing twice is fine."""
        self._free()

    def _copy(self, target: int, source: int, buffer: Buffer, kind: Any) -> None:
        _checked(runtime.cudaMemcpyAsync(target, source, buffer.host.nbytes, kind, self._stream))


def _checked(answer: tuple[Any, ...]) -> Any:
    """Return the result of a call without its status, or the results if there are several.

    Raises:
        BackendError: the status is an error.
        DeviceLostError: after it this process can no longer use the GPU.
    """
    status, *values = answer
    if int(status):
        _, text = runtime.cudaGetErrorString(status)
        raise cuda_error("CUDA failed", text.decode() if isinstance(text, bytes) else str(status), int(status))
    if len(values) > 1:
        return values
    return values[0] if values else None


def _free(index: int, graphs: list[Any], buffers: list[_PinnedBuffer], done: Any, stream: Any) -> None:
    runtime.cudaSetDevice(index)
    for graph in graphs:
        runtime.cudaGraphExecDestroy(graph)
    for buffer in buffers:
        runtime.cudaFree(buffer.address)
        runtime.cudaFreeHost(buffer.host_address)
    graphs.clear()
    buffers.clear()
    runtime.cudaEventDestroy(done)
    runtime.cudaStreamDestroy(stream)
