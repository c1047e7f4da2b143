"""Exported graphs on ONNX Runtime: the CPU, or a GPU if an ONNX Runtime for it is installed."""

from __future__ import annotations

from space_clip_ros.inference.model_files import GRAPH_SUFFIXES
from space_clip_ros.inference.registry import BackendFactory, Opener, register


def _load() -> Opener:
    from space_clip_ros.inference.onnxruntime_backend import OnnxRuntimeBackend

    return lambda request: OnnxRuntimeBackend(
        request.file,
        request.device,
        request.threads,
        thread_spinning=request.thread_spinning,
        other_device=request.alternative,
    )


register(
    BackendFactory(
        name="onnxruntime",
        suffixes=GRAPH_SUFFIXES,
        devices=("cuda", "cpu"),
        rank=20,
        package="onnxruntime",
        install="onnxruntime",
        load=_load,
        runs_on_opening=True,
    )
)
