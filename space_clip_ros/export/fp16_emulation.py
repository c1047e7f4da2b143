"""Emulates on a CPU what an fp16 graph computes on hardware with fp16.

ONNX Runtime runs fp16 on most CPUs by converting to float32, and drops pairs of conversions, so that overflows and lost
digits never show. Here every fp16 tensor is float32 that is rounded to fp16's eleven binary digits after each operator,
like on a GPU that accumulates in float32, and the largest magnitude is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from space_clip_ros.errors import ExportError
from space_clip_ros.export.fp16 import LARGEST
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.metadata import INPUT_NAME, OUTPUT_NAME
from space_clip_ros.inference.onnx_sessions import quiet_options

_LARGEST_NAME = "largest_fp16"
_SPLIT_NAME = "fp16_split"
_SPLIT = 2.0**13 + 1.0
"""Veltkamp's constant (Dekker, 1971): x * c - (x * c - x) keeps the upper 11 of float32's 24 binary digits, rounded."""
_EXACT = {"Reshape", "Transpose", "Slice", "Split", "Squeeze", "Unsqueeze", "Concat", "Gather", "Relu", "DepthToSpace"}
"""Operators that only move or drop numbers, so that their outputs need no rounding."""


class EmulatedSession:
    """Runs an fp16 graph with fp16's rounding.

    Below 6e-5, where fp16 has fewer digits, the emulation is more precise than fp16.

    Attributes:
        largest: the largest magnitude that any fp16 tensor had so far; above 65504 fp16 would be infinite.
    """

    def __init__(self, graph: onnx.ModelProto) -> None:
        """Prepare to run ``graph``, as :func:`space_clip_ros.export.fp16.to_fp16` returns it."""
        self.largest = 0.0
        self._outputs = [output.name for output in graph.graph.output]
        self._session = onnxruntime.InferenceSession(
            emulated(graph).SerializeToString(), quiet_options(), providers=["CPUExecutionProvider"]
        )

    def run(self, images: Rgb) -> Depth:
        """Map (B, H, W, 3) uint8 RGB to (B, H, W) float32 metres."""
        return self.estimate(images)[OUTPUT_NAME]

    def estimate(self, images: Rgb) -> dict[str, Depth]:
        """Map (B, H, W, 3) uint8 RGB to each of the graph's outputs, by its name."""
        *maps, largest = self._session.run([*self._outputs, _LARGEST_NAME], {INPUT_NAME: images})
        # a NaN must not be lost in the maximum
        self.largest = max(self.largest, float(np.nan_to_num(largest, nan=np.inf)))
        return dict(zip(self._outputs, cast(list[Depth], maps), strict=True))

    def check_range(self, remedy: str) -> None:
        """Raise an ExportError with this remedy if fp16 would have been infinite in a run."""
        if self.largest > LARGEST:
            raise ExportError(f"a value reaches {self.largest:.3g}, and fp16 ends at {LARGEST:g}", "", remedy)


def emulated(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return ``graph`` in float32, rounded where it was fp16, with one more output: the largest fp16 magnitude."""
    result = onnx.ModelProto()
    result.CopyFrom(graph)
    half = _half_values(graph)
    peaks: list[str] = []
    nodes = [emulating for node in graph.graph.node for emulating in _emulated(node, half, peaks)]
    nodes.append(helper.make_node("Max", peaks, [_LARGEST_NAME], name=_LARGEST_NAME))
    weights = [_float32(tensor) for tensor in graph.graph.initializer]
    weights.append(numpy_helper.from_array(np.array(_SPLIT, np.float32), _SPLIT_NAME))
    for field, content in (
        (result.graph.node, nodes),
        (result.graph.initializer, weights),
        (result.graph.value_info, []),
    ):
        del field[:]
        field.extend(content)
    result.graph.output.append(helper.make_tensor_value_info(_LARGEST_NAME, TensorProto.FLOAT, []))
    return result


def _half_values(graph: onnx.ModelProto) -> set[str]:
    values = onnx.shape_inference.infer_shapes(graph).graph.value_info
    return {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT16}


def _emulated(node: onnx.NodeProto, half: set[str], peaks: list[str]) -> Iterator[onnx.NodeProto]:
    if node.op_type == "Cast" and (node.input[0] in half or node.output[0] in half):
        if node.output[0] in half:
            yield from _rounded(node.input[0], node.output[0], peaks)
        else:
            yield helper.make_node("Identity", node.input, node.output, name=node.name)
        return
    outputs = [] if node.op_type in _EXACT else [name for name in node.output if name in half]
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    del copied.output[:]
    copied.output.extend(f"{name}_exact" if name in outputs else name for name in node.output)
    yield copied
    for name in outputs:
        yield from _rounded(f"{name}_exact", name, peaks)


def _rounded(exact: str, name: str, peaks: list[str]) -> Iterator[onnx.NodeProto]:
    scaled, rest, size, peak = (f"{name}_{part}" for part in ("scaled", "rest", "size", "peak"))
    yield helper.make_node("Mul", [exact, _SPLIT_NAME], [scaled], name=scaled)
    yield helper.make_node("Sub", [scaled, exact], [rest], name=rest)
    yield helper.make_node("Sub", [scaled, rest], [name], name=f"{name}_rounded")
    yield helper.make_node("Abs", [name], [size], name=size)
    yield helper.make_node("ReduceMax", [size], [peak], name=peak, keepdims=0)
    peaks.append(peak)


def _float32(tensor: TensorProto) -> TensorProto:
    if tensor.data_type != TensorProto.FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
