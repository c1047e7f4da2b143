"""Builds a TensorRT engine whose types are those of the graph; the builder chooses none.

TensorRT's old fp16 builder flag lets the builder lower any layer. That ruins vision transformers, whose softmax and
layer norms need float32 (https://github.com/NVIDIA/TensorRT/issues/2709), and releases from 11 on no longer have the
flag. Networks here are strongly typed instead (TensorRT 9 and later): every tensor has the type that the graph gives
it. TensorRT 8 has no such networks; there the graph's types are set on every layer, and the builder must obey them.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import tensorrt

from space_clip_ros.errors import ExportError
from space_clip_ros.inference.gpu.tensorrt_messages import COMPLAINTS
from space_clip_ros.inference.gpu.tensorrt_runtime import logger, made

MAJOR = int(tensorrt.__version__.partition(".")[0])
_WEAKLY_TYPED_FLAGS = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8",)}

Progress = Callable[[str, int, int], None]


def build_plan(graph: bytes, precision: str, timings: bytes, progress: Progress) -> tuple[bytes, bytes]:
    """Build an engine.

    Args:
        graph: serialised ONNX with static shapes (:func:`space_clip_ros.export.static_graph.static_graph`).
        precision: the graph's own number format.
        timings: TensorRT's timing cache of this machine, or empty.
        progress: called with a phase's name, its steps done and its number of steps, from several threads but one at a
            time. TensorRT before 9.2 does not report progress.

    Returns:
        The engine's plan, and the timing cache with the new measurements; empty if TensorRT keeps none.

    Raises:
        BackendError: TensorRT cannot start, with its message.
        ExportError: TensorRT cannot read the graph or build it, with TensorRT's message.
    """
    before = COMPLAINTS.total
    builder = made("builder", lambda: tensorrt.Builder(logger()))
    network = made("network", lambda: builder.create_network(_network_flags()))
    parser = made("ONNX parser", lambda: tensorrt.OnnxParser(network, logger()))
    if not parser.parse(graph):
        reasons = [str(parser.get_error(index)) for index in range(parser.num_errors)] or [COMPLAINTS.since(before)]
        raise ExportError(f"TensorRT {tensorrt.__version__} cannot read the graph", reasons[0].strip())
    config = made("builder configuration", builder.create_builder_config)
    _set_types(config, network, precision)
    _attach_timings(config, timings)
    if hasattr(tensorrt, "IProgressMonitor"):
        config.progress_monitor = _monitor(progress)
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
    """Return the flags of a strongly typed network with an explicit batch axis.

    TensorRT 8 needs EXPLICIT_BATCH and has no strong typing; 9 needs both flags; networks of 10 always have an explicit
    batch; those of 11 are always strongly typed, too.
    """
    names = {8: ("EXPLICIT_BATCH",), 9: ("EXPLICIT_BATCH", "STRONGLY_TYPED"), 10: ("STRONGLY_TYPED",)}.get(MAJOR, ())
    return sum(1 << int(getattr(tensorrt.NetworkDefinitionCreationFlag, name)) for name in names)


def _set_types(config: tensorrt.IBuilderConfig, network: tensorrt.INetworkDefinition, precision: str) -> None:
    # TF32 would keep only 10 of float32's 23 mantissa bits in matrix products
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    if MAJOR > 8:
        return
    for name in _WEAKLY_TYPED_FLAGS[precision]:
        config.set_flag(getattr(tensorrt.BuilderFlag, name))
    if precision != "fp16":
        return
    config.set_flag(tensorrt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    floats = (tensorrt.DataType.FLOAT, tensorrt.DataType.HALF)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        outputs = [layer.get_output(number) for number in range(layer.num_outputs)]
        for number, output in enumerate(outputs):
            if output.dtype in floats:
                layer.set_output_type(number, output.dtype)
        if outputs and outputs[0].dtype in floats:
            layer.precision = outputs[0].dtype


def _monitor(progress: Progress) -> tensorrt.IProgressMonitor:
    """Return a ``tensorrt.IProgressMonitor`` that reports the outermost phases to ``progress``."""
    steps: dict[str, int] = {}
    lock = Lock()

    def start(self: Any) -> None:
        # a Python class must initialise its C++ base class by name
        tensorrt.IProgressMonitor.__init__(self)

    def phase_start(self: Any, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        with lock:
            if parent_phase is None:
                steps[phase_name] = num_steps
                progress(phase_name, 0, num_steps)

    def step_complete(self: Any, phase_name: str, step: int) -> bool:
        with lock:
            if phase_name in steps:
                progress(phase_name, step + 1, steps[phase_name])
        return True

    def phase_finish(self: Any, phase_name: str) -> None:
        with lock:
            if phase_name in steps:
                progress(phase_name, steps[phase_name], steps.pop(phase_name))

    methods = {
        "__init__": start,
        "phase_start": phase_start,
        "step_complete": step_complete,
        "phase_finish": phase_finish,
    }
    monitor: tensorrt.IProgressMonitor = type("Monitor", (tensorrt.IProgressMonitor,), methods)()
    return monitor
