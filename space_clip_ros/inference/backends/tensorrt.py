"""Exported graphs on TensorRT, through engines that ``space_clip engine`` has built and checked on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import tensorrt

from space_clip_ros.errors import BackendError, InputError
from space_clip_ros.files import file_sha256
from space_clip_ros.inference.backend import Backend, Prediction, Rgb, model_info
from space_clip_ros.inference.backends.onnxruntime import OnnxSessions
from space_clip_ros.inference.gpu.cuda import Cuda
from space_clip_ros.inference.gpu.engine_cache import EngineCache, Entry
from space_clip_ros.inference.gpu.engine_key import EngineKey, Gpu
from space_clip_ros.inference.gpu.engine_runner import EngineRunner
from space_clip_ros.inference.gpu.open_cuda import open_cuda
from space_clip_ros.inference.metadata import OnnxMetadata

_log = logging.getLogger(__name__)
_ANY_SIZE = (0, 0)


class TensorRtBackend:
    """Runs the cached engines of one exported file, one for each image size."""

    def __init__(
        self, file: Path, device: str = "auto", threads: int = 0, otherwise: Callable[[], Backend] | None = None
    ) -> None:
        """Find the engines; each is loaded when an image of its size first comes.

        Args:
            file: written by ``space_clip export``.
            device: auto, cuda or cuda:N.
            threads: CPU threads of reading the file's metadata.
            otherwise: opens what runs images of a size that no engine is for; without it they are refused.

        Raises:
            ModelError: the file is not one of ours.
            BackendError: there is no GPU, or no engine of this file for this GPU and this TensorRT.
        """
        metadata = OnnxSessions(file, threads).metadata
        cuda = open_cuda(device)
        gpu = cuda.gpu
        cuda.close()
        self._device = f"cuda:{gpu.index}"
        self._cache = EngineCache()
        key = engine_key(file, metadata, gpu)
        self._entries = {entry.key.size: entry for entry in _fitting(self._cache.engines(), key, metadata.size)}
        if not self._entries:
            raise BackendError(f"{file}: {_why_none(self._cache, key, metadata.size)}")
        self._runners: dict[tuple[int, int], EngineRunner] = {}
        self._otherwise = otherwise
        self._other: Backend | None = None
        self._lock = Lock()
        self.info = model_info(
            metadata.config,
            backend="tensorrt",
            device=self._device,
            precision=metadata.precision,
            fixed_size=metadata.size,
            file=file,
            fixed_batch=1,
        )
        # What cannot be loaded is known now, and not at the first image.
        self._runner(next(iter(self._entries)))

    def run(self, image: Rgb) -> Prediction:
        """Estimate depth; see :class:`~space_clip_ros.inference.backend.Backend`."""
        size = (image.shape[0], image.shape[1])
        if size in self._entries:
            return self._runner(size).run(image)
        return self._another(size).run(image)

    def device_memory(self) -> int:
        """Return the bytes the engines hold on the GPU, their weights not counted."""
        return sum(runner.device_memory() for runner in list(self._runners.values()))

    def close(self) -> None:
        """Free every engine."""
        with self._lock:
            for runner in self._runners.values():
                runner.close()
            self._runners.clear()
            if self._other is not None:
                self._other.close()
                self._other = None

    def _runner(self, size: tuple[int, int]) -> EngineRunner:
        with self._lock:
            if size not in self._runners:
                plan = self._cache.load(self._entries[size])
                self._runners[size] = make_runner(plan, open_cuda(self._device))
            return self._runners[size]

    def _another(self, size: tuple[int, int]) -> Backend:
        with self._lock:
            if self._otherwise is None:
                sizes = ", ".join(entry.key.size_text for entry in self._entries.values())
                raise InputError(
                    f"{self.info.file}: has engines for images of {sizes} pixels, got {size[1]}x{size[0]}; build one "
                    f"with {_command(self.info.file, size)}, or give backend auto"
                )
            if self._other is None:
                self._other = self._otherwise()
                _log.warning(
                    "%s: no TensorRT engine for %dx%d pixels; such images run on %s, %s. Build one with %s",
                    *(self.info.file, size[1], size[0], self._other.info.backend, self._other.info.device),
                    _command(self.info.file, size),
                )
            return self._other


def engine_key(file: Path, metadata: OnnxMetadata, gpu: Gpu) -> EngineKey:
    """Return the key of a file's engine on this machine; of no size yet where the file takes any.

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
        plan: what TensorRT wrote, from a source that is trusted: a plan is code.
        cuda: closed with the runner, or here where it fails.

    Raises:
        BackendError: TensorRT cannot load it here.
    """
    try:
        cuda.use()
        complaints: list[str] = []
        runtime = tensorrt.Runtime(make_logger(complaints))
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise BackendError(f"TensorRT {tensorrt.__version__} cannot load the engine: {said(complaints)}")
        return EngineRunner(
            engine, cuda, tensorrt.TensorIOMode.INPUT, (tensorrt.DataType.UINT8, tensorrt.DataType.FLOAT)
        )
    except BaseException:
        cuda.close()
        raise


def make_logger(complaints: list[str]) -> tensorrt.ILogger:
    """Return a ``tensorrt.ILogger`` that keeps errors in ``complaints`` and the console quiet."""
    errors = (tensorrt.ILogger.Severity.INTERNAL_ERROR, tensorrt.ILogger.Severity.ERROR)

    def start(self: Any) -> None:
        # the base class of a binding must be started by name
        tensorrt.ILogger.__init__(self)

    def log(self: Any, severity: Any, message: str) -> None:
        if severity in errors:
            complaints.append(message.strip())

    logger: tensorrt.ILogger = type("Logger", (tensorrt.ILogger,), {"__init__": start, "log": log})()
    return logger


def said(complaints: list[str]) -> str:
    """Return the last thing TensorRT complained of, for an error message."""
    return complaints[-1] if complaints else "it did not say why"


def _fitting(entries: Iterator[Entry], key: EngineKey, size: tuple[int, int] | None) -> list[Entry]:
    """Return what fits this file and machine: of its one size, or of every size for a file that takes any."""
    fitting = [entry for entry in entries if entry.key == key.of_size(*entry.key.size)]
    return [entry for entry in fitting if size in (None, entry.key.size)]


def _why_none(cache: EngineCache, key: EngineKey, size: tuple[int, int] | None) -> str:
    if refused := _fitting(cache.refusals(), key, size):
        reasons = ", ".join(f"{entry.key.size_text}: {entry.facts.get('reason')}" for entry in refused)
        return f"its TensorRT engine was refused when it was built ({reasons})"
    stale = [entry for entry in cache.engines() if entry.key.file_sha256 == key.file_sha256]
    found = ", ".join(f"{entry.key.size_text} for {' and '.join(key.differences(entry.key))}" for entry in stale)
    there = f" (there is {found})" if found else ""
    if unreadable := cache.unreadable():
        there += f" ({unreadable[0]})"
    return (
        f"no TensorRT engine of this file for TensorRT {key.tensorrt} on {key.gpu}{there}; "
        f"build one with 'space_clip engine FILE.onnx{'' if size else ' --height H --width W'}'"
    )


def _command(file: Path, size: tuple[int, int]) -> str:
    return f"'space_clip engine {file} --height {size[0]} --width {size[1]}'"
