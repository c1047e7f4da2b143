"""Runs one TensorRT engine: buffers that stay, a stream of its own, and one graph launch per image."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from threading import Lock
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from space_clip_ros.errors import BackendError, DeviceLostError
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.inference.backend import Prediction, prediction
from space_clip_ros.inference.gpu.cuda import Buffer, Cuda
from space_clip_ros.inference.gpu.tensorrt_messages import COMPLAINTS
from space_clip_ros.inference.metadata import OUTPUT_NAME

_log = logging.getLogger(__name__)


class ExecutionContext(Protocol):
    """The part of ``tensorrt.IExecutionContext`` used here, the same in TensorRT 10 and 11."""

    def set_tensor_address(self, name: str, memory: int, /) -> bool:
        """Set the device address of an input or output."""
        ...

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Submit one run to a stream."""
        ...


class CudaEngine(Protocol):
    """The part of ``tensorrt.ICudaEngine`` used here, the same in TensorRT 10 and 11."""

    @property
    def num_io_tensors(self) -> int:
        """The number of inputs and outputs."""
        ...

    def get_tensor_name(self, index: int, /) -> str:
        """Return the name of an input or output."""
        ...

    def get_tensor_mode(self, name: str, /) -> Any:
        """Return whether it is an input or an output, as ``tensorrt.TensorIOMode``."""
        ...

    def get_tensor_shape(self, name: str, /) -> Any:
        """Return ``tensorrt.Dims``, a sequence of int."""
        ...

    def get_tensor_dtype(self, name: str, /) -> Any:
        """Return ``tensorrt.DataType``."""
        ...

    def create_execution_context(self) -> ExecutionContext | None:
        """Reserve the device memory of a run; None if there is not enough."""
        ...


class EngineRunner:
    """Runs an engine on images of one size. Safe to call from several threads; they take turns."""

    def __init__(self, engine: CudaEngine, cuda: Cuda, input_mode: object, types: tuple[object, object]) -> None:
        """Reserve the memory, run once, and capture the run as a CUDA graph.

        Args:
            engine: takes (1, H, W, 3) uint8 and gives (1, H, W) float32 depth, and perhaps further float32 outputs.
            cuda: closed with the runner.
            input_mode: ``tensorrt.TensorIOMode.INPUT``.
            types: ``tensorrt.DataType.UINT8`` and ``.FLOAT``.

        Raises:
            BackendError: the engine takes or gives something else, memory is short, or the first run failed.
        """
        self._cuda = cuda
        self._lock = Lock()
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        shapes = {name: tuple(int(size) for size in engine.get_tensor_shape(name)) for name in names}
        inputs = [name for name in names if engine.get_tensor_mode(name) == input_mode]
        outputs = [name for name in names if name not in inputs]
        expected = [types[0], *[types[1]] * len(outputs)]
        if OUTPUT_NAME not in outputs or [engine.get_tensor_dtype(name) for name in inputs + outputs] != expected:
            raise BackendError(f"the engine does not take one uint8 picture and give one float32 depth: {shapes}")
        context = engine.create_execution_context()
        if context is None:
            raise BackendError("the engine's working memory does not fit on the GPU", "", "close what else uses it")
        # Keep the engine, too: the context uses its memory.
        self._engine: CudaEngine | None = engine
        self._context: ExecutionContext | None = context
        self._image = self._bound(context, inputs[0], shapes[inputs[0]], np.uint8)
        self._outputs = {name: self._bound(context, name, shapes[name], np.float32) for name in outputs}
        self._graph: Callable[[], None] | None = None
        self._warm_up(context)

    def run(self, image: Rgb) -> Prediction:
        """Estimate depth for a (H, W, 3) uint8 RGB image of the engine's size and of any memory layout.

        Raises:
            BackendError: the run failed, or the runner is closed.
        """
        with self._lock:
            if self._context is None:
                # its page-locked memory is freed, too
                raise BackendError("the engine", "is closed", "load the model again")
            start = perf_counter()
            self._cuda.use()
            self._image.host[0] = image
            copied = perf_counter()
            if self._graph is None:
                self._enqueue(self._context)
            else:
                self._graph()
            self._cuda.synchronize()
            done = perf_counter()
            maps = {name: output.host[0].copy() for name, output in self._outputs.items()}
            marks = (start, copied, done, perf_counter())
        stages = dict(zip(("copy_in", "inference", "copy_out"), np.diff(marks).tolist(), strict=True))
        return prediction(maps, {name: seconds * 1e3 for name, seconds in stages.items()})

    def device_memory(self) -> int:
        """Return the bytes held on the device: working memory and the buffers, without the weights."""
        # the first name exists since TensorRT 10.1, the second is gone since 11
        working = getattr(self._engine, "device_memory_size_v2", None) or getattr(self._engine, "device_memory_size", 0)
        return int(working or 0) + sum(buffer.host.nbytes for buffer in (self._image, *self._outputs.values()))

    def close(self) -> None:
        """Free everything; closing twice is fine."""
        with self._lock:
            self._graph = self._context = self._engine = None
            self._cuda.close()

    def _bound(self, context: ExecutionContext, name: str, shape: tuple[int, ...], dtype: type) -> Buffer:
        buffer = self._cuda.buffer(shape, dtype)
        if not context.set_tensor_address(name, buffer.address):
            raise BackendError(f"TensorRT does not take the memory for {name} {shape}")
        return buffer

    def _warm_up(self, context: ExecutionContext) -> None:
        # TensorRT finishes its set-up in the first run, which must not be captured.
        self._cuda.use()
        self._enqueue(context)
        self._cuda.synchronize()
        try:
            self._graph = self._cuda.capture(partial(self._submit, context))
        except DeviceLostError:
            raise
        except BackendError as error:
            _log.warning("TensorRT runs without a CUDA graph, which makes every run slower (%s)", error.problem)
            # if a lost device was the reason, this raises it
            self._cuda.synchronize()

    def _enqueue(self, context: ExecutionContext) -> None:
        """Submit a run that is not recorded."""
        try:
            self._submit(context)
        except BackendError:
            # TensorRT does not say which CUDA error stopped it; CUDA does, if the device is lost.
            self._cuda.synchronize()
            raise

    def _submit(self, context: ExecutionContext) -> None:
        # Nothing here may wait: CUDA forbids that while it records.
        before = COMPLAINTS.total
        self._cuda.upload(self._image)
        if not context.execute_async_v3(self._cuda.stream):
            raise BackendError("TensorRT did not start the run", COMPLAINTS.since(before))
        for output in self._outputs.values():
            self._cuda.download(output)
