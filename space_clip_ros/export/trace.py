"""Traces a PyTorch module to a plain ONNX graph of standard operators."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from torch import Tensor, nn

from space_clip_ros import __version__
from space_clip_ros.errors import ExportError
from space_clip_ros.export.constant_folding import fold_constants

OPSET = 17
"""The first with LayerNormalization."""


def trace(
    module: nn.Module,
    image: Tensor,
    input_name: str,
    outputs: Mapping[str, Sequence[int] | None],
    symbolic: Mapping[int, str],
) -> onnx.ModelProto:
    """Return ``module`` as a graph in which everything that does not depend on the image is a constant.

    Args:
        module: one tensor in, one or several out, in evaluation mode.
        image: an example input.
        input_name: name of the graph's input.
        outputs: names of its outputs, each with the sizes of its axes behind the first, or None if its axes have the
            sizes of the input's first axes.
        symbolic: axis to name of the sizes left open, the same for input and outputs.

    Raises:
        ExportError: there is no room for PyTorch's temporary file.
    """
    with TemporaryDirectory(prefix="space_clip_export_") as folder:
        traced = Path(folder, "traced.onnx")
        try:
            _export(module, image, traced, input_name, outputs, dict(symbolic))
        except OSError as error:
            reason = f"cannot be written ({error.strerror or error})"
            raise ExportError(traced, reason, "check the space left there; TMPDIR names another folder") from error
        graph = fold_constants(traced)
    _name_axes(graph, image, outputs, symbolic)
    graph.producer_name, graph.producer_version = "space_clip_ros", __version__
    onnx.checker.check_model(graph)
    return graph


def _export(
    module: nn.Module,
    image: Tensor,
    file: Path,
    input_name: str,
    outputs: Mapping[str, Sequence[int] | None],
    axes: dict[int, str],
) -> None:
    batch = {axis: name for axis, name in axes.items() if axis == 0}
    dynamic = {input_name: axes, **{name: batch if sizes else axes for name, sizes in outputs.items()}}
    with warnings.catch_warnings(), torch.inference_mode():
        # PyTorch calls this exporter legacy, but the new one needs one more package. It also warns about every check
        # of a shape; those checks hold for all sizes here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (image,),
            file,
            opset_version=OPSET,
            dynamo=False,
            input_names=[input_name],
            output_names=list(outputs),
            dynamic_axes=dynamic if axes else None,
        )


def _name_axes(
    graph: onnx.ModelProto, image: Tensor, outputs: Mapping[str, Sequence[int] | None], symbolic: Mapping[int, str]
) -> None:
    """Give the outputs' axes their sizes and names; tracing invents a name for each size it cannot infer."""
    for output in graph.graph.output:
        sizes = outputs[output.name]
        for axis, dimension in enumerate(output.type.tensor_type.shape.dim):
            dimension.Clear()
            if axis and sizes is not None:
                dimension.dim_value = sizes[axis - 1]
            elif axis in symbolic:
                dimension.dim_param = symbolic[axis]
            else:
                dimension.dim_value = image.shape[axis]
