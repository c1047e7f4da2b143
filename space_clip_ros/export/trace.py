"""From a PyTorch module to a plain ONNX graph of standard operators."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from space_clip_ros import __version__

OPSET = 17
"""The first with LayerNormalization, the last that TensorRT 8.6 reads in full."""


def trace(
    module: nn.Module, image: Tensor, input_name: str, output_name: str, symbolic: Mapping[int, str]
) -> onnx.ModelProto:
    """Return ``module`` as a graph with all that does not depend on the image computed beforehand.

    Args:
        module: one tensor in, one tensor out, in evaluation mode.
        image: an example input.
        input_name: what the graph calls its input.
        output_name: and its output, whose axes have the sizes of the input's first axes.
        symbolic: axis to name of the sizes left open, the same for input and output.
    """
    with TemporaryDirectory(prefix="space_clip_export_") as folder:
        traced, folded = Path(folder, "traced.onnx"), Path(folder, "folded.onnx")
        _export(module, image, traced, input_name, output_name, dict(symbolic))
        _fold(traced, folded)
        graph = onnx.load(folded)
    _name_axes(graph, image, symbolic)
    _declare_operators(graph)
    graph.producer_name, graph.producer_version = "space_clip_ros", __version__
    onnx.checker.check_model(graph)
    return graph


def _export(
    module: nn.Module, image: Tensor, file: Path, input_name: str, output_name: str, axes: dict[int, str]
) -> None:
    with warnings.catch_warnings(), torch.inference_mode():
        # This exporter is marked as the old one, but the new one needs a further package; and it warns of every check
        # of a shape, which hold for all sizes here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (image,),
            file,
            opset_version=OPSET,
            dynamo=False,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_axes={input_name: axes, output_name: axes} if axes else None,
        )


def _fold(file: Path, folded: Path) -> None:
    """Compute constants, drop no-ops and merge batch norms into their convolutions, with standard operators only."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    # Turning MatMul + Add into Gemm would wrap each in two reshapes; runtimes do better with the pair.
    onnxruntime.InferenceSession(
        str(file), options, providers=["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion"]
    )


def _name_axes(graph: onnx.ModelProto, image: Tensor, symbolic: Mapping[int, str]) -> None:
    """Give the output's axes the input's sizes and names; tracing invents a name for each size it cannot infer."""
    for axis, dimension in enumerate(graph.graph.output[0].type.tensor_type.shape.dim):
        dimension.Clear()
        if axis in symbolic:
            dimension.dim_param = symbolic[axis]
        else:
            dimension.dim_value = image.shape[axis]


def _declare_operators(graph: onnx.ModelProto) -> None:
    """Declare only the operator sets in use: other runtimes need not know ONNX Runtime's own."""
    used = {node.domain for node in graph.graph.node}
    kept = [opset for opset in graph.opset_import if opset.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
