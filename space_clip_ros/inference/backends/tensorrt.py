"""Exported graphs on TensorRT, through engines that ``space_clip engine`` has built on this machine.

On machines without TensorRT's Python package, ONNX Runtime's TensorRT provider takes its place.
"""

from __future__ import annotations

from pathlib import Path

from space_clip_ros.inference.gpu.engine_cache import EngineCache
from space_clip_ros.inference.model_files import CHECKPOINT_SUFFIXES, GRAPH_SUFFIXES
from space_clip_ros.inference.registry import BackendFactory, Opener, register


def _load() -> Opener:
    from space_clip_ros.inference.gpu.tensorrt_backend import TensorRtBackend

    return lambda request: TensorRtBackend(
        request.file, request.device, request.threads, request.fallback, request.precision
    )


def _has_engine(file: Path) -> bool:
    """Return whether there may be an engine of a file exported from this checkpoint; opening it finds out."""
    return file.suffix in CHECKPOINT_SUFFIXES and EngineCache().has_engine_of_checkpoint()


def _load_provider() -> Opener:
    from space_clip_ros.inference.onnxruntime_backend import OnnxRuntimeBackend

    return lambda request: OnnxRuntimeBackend(
        request.file, request.device, request.threads, tensorrt=True, thread_spinning=request.thread_spinning
    )


_PROVIDER = BackendFactory(
    name="onnxruntime",
    suffixes=GRAPH_SUFFIXES,
    devices=("cuda",),
    rank=10,
    package="onnxruntime",
    install="onnxruntime",
    load=_load_provider,
    runs_on_opening=True,
)

register(
    BackendFactory(
        name="tensorrt",
        suffixes=GRAPH_SUFFIXES,
        devices=("cuda",),
        rank=10,
        package="tensorrt",
        install="tensorrt",
        load=_load,
        substitute=_PROVIDER,
        runs_on_opening=True,
        also_runs=_has_engine,
    )
)
