"""Models on TensorRT, through engines that ``space_clip engine`` has built and checked on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock

from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.files import file_sha256
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.inference.backend import Backend, ModelInfo, Prediction, model_info
from space_clip_ros.inference.gpu.engine_cache import MODEL, CacheEntry, EngineCache
from space_clip_ros.inference.gpu.engine_key import EngineKey, Gpu, engine_precisions
from space_clip_ros.inference.gpu.engine_runner import EngineRunner
from space_clip_ros.inference.gpu.open_cuda import open_cuda
from space_clip_ros.inference.gpu.tensorrt_runtime import engine_key, make_runner
from space_clip_ros.inference.metadata import OnnxMetadata
from space_clip_ros.inference.model_files import is_graph
from space_clip_ros.inference.onnx_sessions import OnnxSessions

_log = logging.getLogger(__name__)


class TensorRtBackend:
    """Runs the cached engines of one model, one engine for each image size.

    Attributes:
        info: the model's facts. Once images have run on the fallback, ``backend`` and the rest are the fallback's, or
            both, if engines run others, such as ``tensorrt+onnxruntime``.
    """

    def __init__(
        self,
        file: Path,
        device: str = "auto",
        threads: int = 0,
        fallback: Callable[[], Backend] | None = None,
        precision: str = "auto",
    ) -> None:
        """Find the engines; each is loaded when an image of its size first arrives.

        Args:
            file: written by ``space_clip export``; or a checkpoint, whose exported file's engines are used.
            device: auto, cuda or cuda:N.
            threads: CPU threads for reading the file's metadata.
            fallback: opens the backend that runs images of sizes without an engine; without it they are rejected.
            precision: auto, or one of the file's. With auto, fp32 files also use engines with TF32, and checkpoints
                engines in fp16, as PyTorch would run them.

        Raises:
            ModelError: the file is not one of ours.
            BackendError: there is no GPU, or no engine of this file for this GPU and this TensorRT.
        """
        cuda = open_cuda(device)
        gpu = cuda.gpu
        cuda.close()
        self._device = f"cuda:{gpu.index}"
        self._cache = EngineCache()
        metadata, self._entries = _engines(self._cache, file, threads, gpu, precision)
        self._runners: dict[tuple[int, int], EngineRunner] = {}
        self._open_fallback = fallback
        self._fallback: Backend | None = None
        self._lock = Lock()
        self._closed = False
        first = next(iter(self._entries.values()))
        # Fail now, not at the first image, if an engine cannot be loaded.
        self._runner(first.key.size)
        self.info = self._own_info = model_info(
            metadata.config,
            backend="tensorrt",
            device=self._device,
            precision=first.key.precision,
            fixed_size=metadata.size,
            file=file,
            fixed_batch=1,
        )
        self._ran_engines = self._ran_fallback = False

    def run(self, image: Rgb, language: bool = True) -> Prediction:
        """Estimate depth; see :class:`~space_clip_ros.inference.backend.Backend`."""
        size = (image.shape[0], image.shape[1])
        if size in self._entries:
            prediction = self._runner(size).run(image)
            if not self._ran_engines:
                self._ran_engines = True
                self._renew_info()
            return prediction
        fallback = self._backend_for(size)
        prediction = fallback.run(image)
        if not self._ran_fallback:
            self._ran_fallback = True
            self._renew_info(f"tensorrt on {self._device} for {size[1]}x{size[0]} pixels (no engine of that size)")
        return prediction

    def device_memory(self) -> int:
        """Return the bytes the engines hold on the GPU, without their weights."""
        return sum(runner.device_memory() for runner in list(self._runners.values()))

    def close(self) -> None:
        """Free every engine."""
        with self._lock:
            self._closed = True
            for runner in self._runners.values():
                runner.close()
            self._runners.clear()
            if self._fallback is not None:
                self._fallback.close()
                self._fallback = None

    def _runner(self, size: tuple[int, int]) -> EngineRunner:
        with self._lock:
            self._check_open()
            if size not in self._runners:
                plan = self._cache.load(self._entries[size])
                self._runners[size] = make_runner(plan, open_cuda(self._device))
            return self._runners[size]

    def _backend_for(self, size: tuple[int, int]) -> Backend:
        """Return the fallback, which runs images of a size without an engine."""
        with self._lock:
            self._check_open()
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

    def _check_open(self) -> None:
        if self._closed:
            raise BackendError(self.info.file, "is closed", "load the model again")

    def _renew_info(self, *passed_over: str) -> None:
        """Say what runs images now: engines, the fallback, or both."""
        running: list[ModelInfo] = [self._own_info] if self._ran_engines else []
        if self._ran_fallback and self._fallback is not None:
            running.append(self._fallback.info)
        self.info = replace(
            self.info,
            backend=_joined(info.backend for info in running),
            device=_joined(info.device for info in running),
            precision=_joined(info.precision for info in running),
            passed_over=(*self.info.passed_over, *passed_over),
        )


def _joined(names: Iterable[str]) -> str:
    return "+".join(dict.fromkeys(names))


def _engines(
    cache: EngineCache, file: Path, threads: int, gpu: Gpu, precision: str
) -> tuple[OnnxMetadata, dict[tuple[int, int], CacheEntry]]:
    """Return what the engines' file says about itself, and an engine for each size; at least one.

    Raises:
        ModelError: the file is not one of ours.
        BackendError: there is no engine.
    """
    if not is_graph(file):
        return _engines_of_checkpoint(cache, file, gpu, precision)
    metadata = OnnxSessions(file, threads).metadata
    own = engine_key(file, metadata, gpu)
    keys = [replace(own, precision=kind) for kind in engine_precisions(metadata.precision, precision)]
    entries: dict[tuple[int, int], CacheEntry] = {}
    for key in keys:
        for entry in _matching(cache.engines(), key, metadata.size):
            entries.setdefault(entry.key.size, entry)
    if not entries:
        raise _no_engine(file, cache, keys, metadata.size)
    return metadata, entries


def _engines_of_checkpoint(
    cache: EngineCache, file: Path, gpu: Gpu, precision: str
) -> tuple[OnnxMetadata, dict[tuple[int, int], CacheEntry]]:
    sha256 = file_sha256(file)
    wanted = "fp16" if precision == "auto" else precision
    engines: list[tuple[OnnxMetadata, CacheEntry]] = []
    details = ""
    for entry in cache.engines():
        if entry.source_sha256 == sha256 and entry.key.precision == wanted:
            try:
                metadata = OnnxMetadata.from_properties(entry.facts[MODEL], entry.path)
            except ModelError as error:
                # as of an engine that another version of this package built
                details = f" ({error.problem})"
                continue
            here = engine_key(None, metadata, gpu).of_size(*entry.key.size)
            if entry.key == replace(here, file_sha256=entry.key.file_sha256, precision=wanted):
                engines.append((metadata, entry))
    if not engines:
        reason = f"no {wanted} TensorRT engine for this machine was built from a file exported from it{details}"
        raise BackendError(file, reason)
    # Engines are for one size each, whatever sizes their files take. The last built wins, and those of files that give
    # other outputs than its are left out.
    newest = engines[-1][0]
    entries = {entry.key.size: entry for metadata, entry in engines if metadata.config == newest.config}
    return replace(newest, size=None), entries


def _matching(entries: Iterator[CacheEntry], key: EngineKey, size: tuple[int, int] | None) -> list[CacheEntry]:
    """Return the entries for this file and machine: of its one size, or of every size if the file takes any."""
    matching = [entry for entry in entries if entry.key == key.of_size(*entry.key.size)]
    return [entry for entry in matching if size in (None, entry.key.size)]


def _no_engine(file: Path, cache: EngineCache, keys: list[EngineKey], size: tuple[int, int] | None) -> BackendError:
    key = keys[-1]
    if refused := _matching(cache.refusals(), key, size):
        reasons = ", ".join(f"{entry.key.size_text}: {entry.facts.get('reason')}" for entry in refused)
        return BackendError(file, f"its TensorRT engine was refused when it was built ({reasons})")
    stale = [entry for entry in cache.engines() if entry.key.file_sha256 == key.file_sha256]
    others = ", ".join(f"{entry.key.size_text} for {_differences(keys, entry.key)}" for entry in stale)
    details = f" (there is {others})" if others else ""
    if unreadable := cache.unreadable():
        details += f" ({unreadable[0]})"
    return BackendError(
        file,
        f"no TensorRT engine of this file for TensorRT {key.tensorrt} on {key.gpu}{details}",
        f"build one with 'space_clip engine FILE.onnx{'' if size else ' --height H --width W'}'",
    )


def _differences(keys: list[EngineKey], other: EngineKey) -> str:
    fewest = min(keys, key=lambda key: len(key.differences(other)))
    return " and ".join(fewest.differences(other))


def _command(file: Path, size: tuple[int, int]) -> str:
    name = file if is_graph(file) else "FILE.onnx"
    return f"'space_clip engine {name} --height {size[0]} --width {size[1]}'"
