"""Small ONNX depth models as others would write them: other layouts, types, opsets and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_SEED = 3


def write(
    file: Path,
    dims: Sequence[int | str] = ("batch", 3, "rows", "columns"),
    *,
    input_name: str = "pixel_values",
    element: int = TensorProto.FLOAT,
    opset: int = 17,
    output: str = "planes",
    confidence: bool = False,
    constant_input: bool = False,
    external: str = "",
    scale: float = 1.0,
) -> Path:
    """Write a model whose output varies with the picture, between about 2 and 6.

    Args:
        file: to write.
        dims: of the image input; 3 to 5, channels first or last; text for open ones.
        input_name: of the image input.
        element: type of the image input and, if it is fp16, of the weights.
        opset: of the standard operators.
        output: planes (B, 1, h, w), maps (B, h, w), points (B, h, w, 3), halves (B, 1, h / 2, w / 2) or flat (h, w).
        confidence: with a second output between 0 and 1, ``confidence`` (B, 1, h, w).
        constant_input: with a second input, ``num_tokens``, which multiplies the output.
        external: name of a file for the weights; empty to keep them in the file.
        scale: factor on the output.
    """
    half = element == TensorProto.FLOAT16
    kind, dtype = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    random = np.random.default_rng(_SEED)
    weights = {
        "kernel": random.normal(0, 0.4, (4, 3, 3, 3)),
        "head": np.abs(random.normal(0, 0.6, (1, 4, 1, 1))),
        "second": random.normal(0, 0.6, (1, 4, 1, 1)),
        "base": np.asarray(2.0 * scale),
        "factor": np.asarray(scale),
    }
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name = to or f"value_{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def axes(operator: str, name: str, *numbers: int, to: str = "") -> str:
        if opset < 13:
            return add(operator, name, to=to, axes=list(numbers))
        weights[f"axes_{len(nodes)}"] = np.asarray(numbers, np.int64)
        return add(operator, name, f"axes_{len(nodes)}", to=to)

    x = input_name
    if element == TensorProto.UINT8:
        weights["bytes"] = np.asarray(1 / 64)
        x = add("Mul", _cast(nodes, x, kind), "bytes")
    x = axes("Squeeze", x, 1) if len(dims) == 5 else axes("Unsqueeze", x, 0) if len(dims) == 3 else x
    if dims[-1] == 3:
        x = add("Transpose", x, perm=[0, 3, 1, 2])
    features = add("Relu", add("Conv", x, "kernel", pads=[1, 1, 1, 1]))
    value = add("Add", add("Mul", add("Conv", features, "head"), "factor"), "base")
    inputs = [helper.make_tensor_value_info(input_name, element, list(dims))]
    if constant_input:
        inputs.append(helper.make_tensor_value_info("num_tokens", TensorProto.INT64, []))
        value = add("Mul", value, _cast(nodes, "num_tokens", kind))
    result, shape = {
        "planes": lambda: (add("Identity", value, to="depth"), [None] * 4),
        "maps": lambda: (axes("Squeeze", value, 1, to="depth"), [None] * 3),
        "flat": lambda: (axes("Squeeze", value, 0, 1, to="depth"), [None] * 2),
        "halves": lambda: (add("AveragePool", value, to="depth", kernel_shape=[2, 2], strides=[2, 2]), [None] * 4),
        "points": lambda: (
            add("Transpose", add("Concat", add("Neg", value), value, value, axis=1), to="depth", perm=[0, 2, 3, 1]),
            [None] * 4,
        ),
    }[output]()
    outputs = [helper.make_tensor_value_info(result, kind, shape)]
    if confidence:
        add("Sigmoid", add("Conv", features, "second"), to="confidence")
        outputs.append(helper.make_tensor_value_info("confidence", kind, [None] * 4))
    used = {name for node in nodes for name in node.input}
    tensors = [
        numpy_helper.from_array(values if values.dtype == np.int64 else values.astype(dtype), name)
        for name, values in weights.items()
        if name in used
    ]
    graph = helper.make_graph(nodes, "third_party", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, file, save_as_external_data=bool(external), location=external or None, size_threshold=16)
    return file


def _cast(nodes: list[onnx.NodeProto], name: str, kind: int) -> str:
    nodes.append(helper.make_node("Cast", [name], [f"{name}_float"], to=kind))
    return f"{name}_float"
