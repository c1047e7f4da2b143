"""Constant folding with ONNX Runtime: simpler graphs that still consist of standard operators only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime

from space_clip_ros.inference.onnx_sessions import quiet_options


def fold_constants(file: Path, sizes: Mapping[str, int] | None = None) -> onnx.ModelProto:
    """Return the graph of ``file`` with constants computed, no-ops dropped and batch norms merged into convolutions.

    Args:
        file: an ONNX file.
        sizes: values for symbolic axes, by name; what depends on nothing else is computed, too.
    """
    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    for name, value in (sizes or {}).items():
        options.add_free_dimension_override_by_name(name, value)
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


def _declare_used_operator_sets(graph: onnx.ModelProto) -> None:
    """Drop operator sets that no node uses: ONNX Runtime declares its own, which other runtimes need not know."""
    used = {node.domain for node in graph.graph.node}
    kept = [opset for opset in graph.opset_import if opset.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
