"""Builds a TensorRT engine whose types are those of the graph; the builder chooses none.

TensorRT's old fp16 builder flag lets the builder lower any layer. That ruins vision transformers, whose softmax and
layer norms need float32 (https://github.com/NVIDIA/TensorRT/issues/2709), and releases from 11 on no longer have the
flag. Networks here are strongly typed instead: every tensor has the type that the graph gives it. TensorRT before 10
has no such networks, or none that were released for robots, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import tensorrt

from space_clip_ros.errors import BackendError, ExportError
from space_clip_ros.inference.gpu.tensorrt_messages import COMPLAINTS
from space_clip_ros.inference.gpu.tensorrt_runtime import logger, made

FIRST_MAJOR = 10
MAJOR = int(tensorrt.__version__.partition(".")[0])

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BuildOptions:
    """How an engine is built.

    Attributes:
        tf32: whether float32 products may use TF32, which keeps 10 of float32's 23 mantissa bits and runs on tensor
            cores.
        workspace: the most device memory that a layer may work in, bytes.
        cancelled: asked between the builder's steps; the build ends early once it returns true.
        progress: called with a phase's name, its steps done and its number of steps, from several threads but one at a
            time.
    """

    tf32: bool
    workspace: int
    cancelled: Callable[[], bool] = lambda: False
    progress: Progress = lambda phase, done, total: None


def check_version() -> None:
    """Refuse a TensorRT without strongly typed networks.

    Raises:
        BackendError: this TensorRT is older than 10.
    """
    if MAJOR < FIRST_MAJOR:
        raise BackendError(
            f"TensorRT {tensorrt.__version__}",
            "cannot keep the types that a graph states",
            f"install TensorRT {FIRST_MAJOR} or later (JetPack 6.1 or later)",
        )


def build_plan(graph: bytes, timings: bytes, options: BuildOptions) -> tuple[bytes, bytes]:
    """Build an engine.

    Args:
        graph: serialised ONNX with static shapes (:func:`space_clip_ros.export.static_graph.static_graph`).
        timings: TensorRT's timing cache of this machine, or empty.
        options: how.

    Returns:
        The engine's plan, and the timing cache with the new measurements; empty if TensorRT keeps none.

    Raises:
        BackendError: TensorRT cannot start, with its message, or is too old.
        ExportError: TensorRT cannot read the graph or build it, with TensorRT's message; or the build was cancelled.
    """
    check_version()
    before = COMPLAINTS.total
    builder = made("builder", lambda: tensorrt.Builder(logger()))
    network = made("network", lambda: builder.create_network(_network_flags()))
    parser = made("ONNX parser", lambda: tensorrt.OnnxParser(network, logger()))
    if not parser.parse(graph):
        reasons = [str(parser.get_error(index)) for index in range(parser.num_errors)] or [COMPLAINTS.since(before)]
        raise ExportError(f"TensorRT {tensorrt.__version__} cannot read the graph", reasons[0].strip())
    config = made("builder configuration", builder.create_builder_config)
    if not options.tf32:
        config.clear_flag(tensorrt.BuilderFlag.TF32)
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, options.workspace)
    _attach_timings(config, timings)
    config.progress_monitor = _monitor(options)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError(f"TensorRT {tensorrt.__version__} could not build the engine", COMPLAINTS.since(before))
    return bytes(plan), _timings(config)


def _attach_timings(config: tensorrt.IBuilderConfig, timings: bytes) -> None:
    """Give the builder earlier measurements, or an empty cache if TensorRT refuses them: they are of another device."""
    for content in (timings, b""):
        cache = config.create_timing_cache(content)
        # False: no mismatch is ignored
        if cache is not None and config.set_timing_cache(cache, False):
            return


def _timings(config: tensorrt.IBuilderConfig) -> bytes:
    cache = config.get_timing_cache()
    measured = None if cache is None else cache.serialize()
    return b"" if measured is None else bytes(measured)


def _network_flags() -> int:
    """Return the flags of a strongly typed network; from 11 on there are no others."""
    names = ("STRONGLY_TYPED",) if MAJOR == FIRST_MAJOR else ()
    return sum(1 << int(getattr(tensorrt.NetworkDefinitionCreationFlag, name)) for name in names)


def _monitor(options: BuildOptions) -> tensorrt.IProgressMonitor:
    """Return a ``tensorrt.IProgressMonitor`` that reports the outermost phases, and ends a cancelled build."""
    steps: dict[str, int] = {}
    lock = Lock()

    def start(self: Any) -> None:
        # a Python class must initialise its C++ base class by name
        tensorrt.IProgressMonitor.__init__(self)

    def phase_start(self: Any, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        with lock:
            if parent_phase is None:
                steps[phase_name] = num_steps
                options.progress(phase_name, 0, num_steps)

    def step_complete(self: Any, phase_name: str, step: int) -> bool:
        with lock:
            if phase_name in steps:
                options.progress(phase_name, step + 1, steps[phase_name])
        return not options.cancelled()

    def phase_finish(self: Any, phase_name: str) -> None:
        with lock:
            if phase_name in steps:
                options.progress(phase_name, steps[phase_name], steps.pop(phase_name))

    methods = {
        "__init__": start,
        "phase_start": phase_start,
        "step_complete": step_complete,
        "phase_finish": phase_finish,
    }
    monitor: tensorrt.IProgressMonitor = type("Monitor", (tensorrt.IProgressMonitor,), methods)()
    return monitor
