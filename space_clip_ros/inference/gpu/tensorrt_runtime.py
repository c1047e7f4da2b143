"""The calls to TensorRT's Python package that a robot needs: keys of engines, plans loaded onto a GPU, its errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import tensorrt

from space_clip_ros.errors import BackendError, describe
from space_clip_ros.files import file_sha256
from space_clip_ros.inference.gpu.cuda import Cuda
from space_clip_ros.inference.gpu.engine_key import EngineKey, Gpu
from space_clip_ros.inference.gpu.engine_runner import EngineRunner
from space_clip_ros.inference.gpu.tensorrt_messages import COMPLAINTS
from space_clip_ros.inference.metadata import OnnxMetadata

_ANY_SIZE = (0, 0)
_Made = TypeVar("_Made")


def engine_key(file: Path | None, metadata: OnnxMetadata, gpu: Gpu) -> EngineKey:
    """Return the key of a file's engine on this machine; its size is 0 x 0 if the file takes any size.

    Without a file its hash is empty.

    Raises:
        OSError: the file cannot be read.
    """
    height, width = metadata.size or _ANY_SIZE
    return EngineKey(
        file_sha256="" if file is None else file_sha256(file),
        tensorrt=tensorrt.__version__,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        multiprocessors=gpu.multiprocessors,
        precision=metadata.precision,
        shape=(1, height, width, 3),
    )


def make_runner(plan: bytes, cuda: Cuda) -> EngineRunner:
    """Load a plan onto a device.

    Args:
        plan: what TensorRT wrote, from a trusted source: a plan contains code.
        cuda: closed with the runner, or here if loading fails.

    Raises:
        BackendError: TensorRT cannot start, or cannot load the plan here.
    """
    try:
        cuda.use()
        before = COMPLAINTS.total
        runtime = made("runtime", lambda: tensorrt.Runtime(logger()))
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise BackendError(f"TensorRT {tensorrt.__version__} cannot load the engine", COMPLAINTS.since(before))
        return EngineRunner(
            engine, cuda, tensorrt.TensorIOMode.INPUT, (tensorrt.DataType.UINT8, tensorrt.DataType.FLOAT)
        )
    except BaseException:
        cuda.close()
        raise


def made(what: str, factory: Callable[[], _Made | None]) -> _Made:
    """Return what one of TensorRT's factories makes.

    Args:
        what: its name, for an error.
        factory: a constructor, which raises TypeError if the library returns nothing, or a method that returns None.

    Raises:
        BackendError: TensorRT makes none, as with a driver that is older than it, with TensorRT's last messages.
    """
    before = COMPLAINTS.total
    try:
        thing = factory()
    except (TypeError, RuntimeError) as error:
        # pybind11: "factory function returned nullptr"
        reason = describe(error) if COMPLAINTS.total == before else COMPLAINTS.since(before)
        raise _cannot_start(what, reason) from error
    if thing is None:
        raise _cannot_start(what, COMPLAINTS.since(before))
    return thing


def _cannot_start(what: str, reason: str) -> BackendError:
    return BackendError(
        f"TensorRT {tensorrt.__version__} makes no {what} here",
        reason,
        "check that the GPU's driver is new enough for this TensorRT and its CUDA (nvidia-smi)",
    )


@cache
def logger() -> tensorrt.ILogger:
    """Return the ``tensorrt.ILogger`` of this process, which keeps errors in ``COMPLAINTS`` and prints nothing."""
    severities = (tensorrt.ILogger.Severity.INTERNAL_ERROR, tensorrt.ILogger.Severity.ERROR)

    def start(self: Any) -> None:
        # a Python class must initialise its C++ base class by name
        tensorrt.ILogger.__init__(self)

    def log(self: Any, severity: Any, message: str) -> None:
        if severity in severities:
            COMPLAINTS.add(message)

    made_logger: tensorrt.ILogger = type("Logger", (tensorrt.ILogger,), {"__init__": start, "log": log})()
    return made_logger
