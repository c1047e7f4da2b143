"""Constant folding with ONNX Runtime: simpler graphs that still consist of standard operators only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from space_clip_ros.inference.onnx_sessions import quiet_options


def fold_constants(file: Path) -> onnx.ModelProto:
    """Return the graph of an ONNX file with constants computed, no-ops dropped and batch norms merged."""
    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with TemporaryDirectory(prefix="space_clip_folding_") as folder:
        folded = Path(folder, "folded.onnx")
        options.optimized_model_filepath = str(folded)
        # Turning MatMul + Add into Gemm would wrap each in two reshapes; runtimes are faster with the pair.
        onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion"]
        )
        graph = onnx.load(folded)
    _declare_used_operator_sets(graph)
    return graph


def fold_graph(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return what :func:`fold_constants` makes of a graph in memory."""
    with TemporaryDirectory(prefix="space_clip_folding_") as folder:
        onnx.save(graph, Path(folder, "graph.onnx"))
        return fold_constants(Path(folder, "graph.onnx"))


def fold_sizes(model: onnx.ModelProto, shape: Sequence[int]) -> onnx.ModelProto:
    """Return the graph for an input of one shape, with everything computed that depends on sizes alone.

    The graph runs once, as it is written: ONNX Runtime's optimiser would turn fp16 into fp32 on a CPU.

    Args:
        model: a graph with one input and named axes, in which no shape depends on what the input holds.
        shape: the input's.
    """
    outputs = [output.name for output in model.graph.output]
    nodes, sized = _split_by_sizes(model.graph)
    wanted = sorted(sized & {name for node in nodes for name in node.input})
    values = _run_once(model, shape, [*outputs, *wanted])
    kept, used = _used(nodes, outputs)
    tensors = [*model.graph.initializer, *(numpy_helper.from_array(values[name], name) for name in wanted)]
    shapes = [shape, *(values[name].shape for name in outputs)]
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    graph = folded.graph
    for field, content in (
        (graph.node, kept),
        (graph.initializer, [tensor for tensor in tensors if tensor.name in used]),
        (graph.value_info, []),
    ):
        del field[:]
        field.extend(content)
    for value, sizes in zip([*graph.input, *graph.output], shapes, strict=True):
        value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, sizes))
    return folded


def _split_by_sizes(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], set[str]]:
    """Return the nodes that depend on more than sizes, and the names of all values that depend on sizes alone."""
    constants = {"", *(tensor.name for tensor in graph.initializer)}
    sized: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        inputs = set(node.input)
        if inputs <= constants and node.op_type != "Shape":
            # Nothing that depends on weights alone is folded, so that int8 weights are still dequantised in the graph.
            constants.update(node.output)
            nodes.append(node)
        elif inputs <= constants | sized or node.op_type == "Shape":
            sized.update(node.output)
        else:
            nodes.append(node)
    return nodes, sized


def _used(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """Return the nodes that the outputs need, in order, and the names of everything they read."""
    used = set(outputs)
    kept: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if not used.isdisjoint(node.output):
            used.update(node.input)
            kept.insert(0, node)
    return kept, used


def _run_once(model: onnx.ModelProto, shape: Sequence[int], names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the named values of a run on zeros."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (image,) = model.graph.input
    zeros = np.zeros(shape, helper.tensor_dtype_to_np_dtype(image.type.tensor_type.elem_type))
    return dict(zip(names, session.run(list(names), {image.name: zeros}), strict=True))


def _declare_used_operator_sets(graph: onnx.ModelProto) -> None:
    """Drop operator sets that no node uses: ONNX Runtime declares its own, which other runtimes need not know."""
    used = {node.domain for node in graph.graph.node}
    kept = [opset for opset in graph.opset_import if opset.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
