"""Exported graphs on TensorRT, through engines that ``space_clip engine`` has built and checked on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

from space_clip_ros.errors import BackendError, InputError
from space_clip_ros.inference.backend import Backend, Prediction, Rgb, model_info
from space_clip_ros.inference.gpu.engine_cache import CacheEntry, EngineCache
from space_clip_ros.inference.gpu.engine_key import EngineKey
from space_clip_ros.inference.gpu.engine_runner import EngineRunner
from space_clip_ros.inference.gpu.open_cuda import open_cuda
from space_clip_ros.inference.gpu.tensorrt_runtime import engine_key, make_runner
from space_clip_ros.inference.onnx_sessions import OnnxSessions

_log = logging.getLogger(__name__)


class TensorRtBackend:
    """Runs the cached engines of one exported file, one engine for each image size."""

    def __init__(
        self, file: Path, device: str = "auto", threads: int = 0, fallback: Callable[[], Backend] | None = None
    ) -> None:
        """Find the engines; each is loaded when an image of its size first arrives.

        Args:
            file: written by ``space_clip export``.
            device: auto, cuda or cuda:N.
            threads: CPU threads for reading the file's metadata.
            fallback: opens the backend that runs images of sizes without an engine; without it they are rejected.

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
        self._entries = {entry.key.size: entry for entry in _matching(self._cache.engines(), key, metadata.size)}
        if not self._entries:
            raise _no_engine(file, self._cache, key, metadata.size)
        self._runners: dict[tuple[int, int], EngineRunner] = {}
        self._open_fallback = fallback
        self._fallback: Backend | None = None
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
        # Fail now, not at the first image, if an engine cannot be loaded.
        self._runner(next(iter(self._entries)))

    def run(self, image: Rgb) -> Prediction:
        """Estimate depth; see :class:`~space_clip_ros.inference.backend.Backend`."""
        size = (image.shape[0], image.shape[1])
        if size in self._entries:
            return self._runner(size).run(image)
        return self._backend_for(size).run(image)

    def device_memory(self) -> int:
        """Return the bytes the engines hold on the GPU, without their weights."""
        return sum(runner.device_memory() for runner in list(self._runners.values()))

    def close(self) -> None:
        """Free every engine."""
        with self._lock:
            for runner in self._runners.values():
                runner.close()
            self._runners.clear()
            if self._fallback is not None:
                self._fallback.close()
                self._fallback = None

    def _runner(self, size: tuple[int, int]) -> EngineRunner:
        with self._lock:
            if size not in self._runners:
                plan = self._cache.load(self._entries[size])
                self._runners[size] = make_runner(plan, open_cuda(self._device))
            return self._runners[size]

    def _backend_for(self, size: tuple[int, int]) -> Backend:
        """Return the fallback, which runs images of a size without an engine."""
        with self._lock:
            if self._open_fallback is None:
                sizes = ", ".join(entry.key.size_text for entry in self._entries.values())
                raise InputError(
                    self.info.file,
                    f"has engines for images of {sizes} pixels, got {size[1]}x{size[0]}",
                    f"build one with {_command(self.info.file, size)}, or give backend auto",
                )
            if self._fallback is None:
                self._fallback = self._open_fallback()
                _log.warning(
                    "%s: no TensorRT engine for %dx%d pixels; such images run on %s, %s. Build one with %s",
                    *(self.info.file, size[1], size[0], self._fallback.info.backend, self._fallback.info.device),
                    _command(self.info.file, size),
                )
            return self._fallback


def _matching(entries: Iterator[CacheEntry], key: EngineKey, size: tuple[int, int] | None) -> list[CacheEntry]:
    """Return the entries for this file and machine: of its one size, or of every size if the file takes any."""
    matching = [entry for entry in entries if entry.key == key.of_size(*entry.key.size)]
    return [entry for entry in matching if size in (None, entry.key.size)]


def _no_engine(file: Path, cache: EngineCache, key: EngineKey, size: tuple[int, int] | None) -> BackendError:
    if refused := _matching(cache.refusals(), key, size):
        reasons = ", ".join(f"{entry.key.size_text}: {entry.facts.get('reason')}" for entry in refused)
        return BackendError(file, f"its TensorRT engine was refused when it was built ({reasons})")
    stale = [entry for entry in cache.engines() if entry.key.file_sha256 == key.file_sha256]
    found = ", ".join(f"{entry.key.size_text} for {' and '.join(key.differences(entry.key))}" for entry in stale)
    details = f" (there is {found})" if found else ""
    if unreadable := cache.unreadable():
        details += f" ({unreadable[0]})"
    return BackendError(
        file,
        f"no TensorRT engine of this file for TensorRT {key.tensorrt} on {key.gpu}{details}",
        f"build one with 'space_clip engine FILE.onnx{'' if size else ' --height H --width W'}'",
    )


def _command(file: Path, size: tuple[int, int]) -> str:
    return f"'space_clip engine {file} --height {size[0]} --width {size[1]}'"
