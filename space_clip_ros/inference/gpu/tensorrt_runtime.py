"""The calls to TensorRT's Python package that a robot needs: keys of engines, plans loaded onto a GPU, its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorrt

from space_clip_ros.errors import BackendError
from space_clip_ros.files import file_sha256
from space_clip_ros.inference.gpu.cuda import Cuda
from space_clip_ros.inference.gpu.engine_key import EngineKey, Gpu
from space_clip_ros.inference.gpu.engine_runner import EngineRunner
from space_clip_ros.inference.metadata import OnnxMetadata

_ANY_SIZE = (0, 0)


def engine_key(file: Path, metadata: OnnxMetadata, gpu: Gpu) -> EngineKey:
    """Return the key of a file's engine on this machine; its size is 0 x 0 if the file takes any size.

    Raises:
        OSError: the file cannot be read.
    """
    height, width = metadata.size or _ANY_SIZE
    return EngineKey(
        file_sha256=file_sha256(file),
        tensorrt=tensorrt.__version__,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        precision=metadata.precision,
        shape=(1, height, width, 3),
    )


def make_runner(plan: bytes, cuda: Cuda) -> EngineRunner:
    """Load a plan onto a device.

    Args:
        plan: what TensorRT wrote, from a trusted source: a plan contains code.
        cuda: closed with the runner, or here if loading fails.

    Raises:
        BackendError: TensorRT cannot load it here.
    """
    try:
        cuda.use()
        errors: list[str] = []
        runtime = tensorrt.Runtime(make_logger(errors))
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise BackendError(f"TensorRT {tensorrt.__version__} cannot load the engine", last_error(errors))
        return EngineRunner(
            engine, cuda, tensorrt.TensorIOMode.INPUT, (tensorrt.DataType.UINT8, tensorrt.DataType.FLOAT)
        )
    except BaseException:
        cuda.close()
        raise


def make_logger(errors: list[str]) -> tensorrt.ILogger:
    """Return a ``tensorrt.ILogger`` that appends error messages to ``errors`` and prints nothing."""
    severities = (tensorrt.ILogger.Severity.INTERNAL_ERROR, tensorrt.ILogger.Severity.ERROR)

    def start(self: Any) -> None:
        # a Python class must initialise its C++ base class by name
        tensorrt.ILogger.__init__(self)

    def log(self: Any, severity: Any, message: str) -> None:
        if severity in severities:
            errors.append(message.strip())

    logger: tensorrt.ILogger = type("Logger", (tensorrt.ILogger,), {"__init__": start, "log": log})()
    return logger


def last_error(errors: list[str]) -> str:
    """Return TensorRT's last error message, for an error of ours."""
    return errors[-1] if errors else "it did not say why"
