"""The fp16 graph: which tensors are fp16, which stay fp32, and that it still computes the model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from space_clip_ros.errors import ExportError
from space_clip_ros.export.fp16 import to_fp16
from space_clip_ros.export.onnx import _traced
from space_clip_ros.export.simplify import with_merged_adapters
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.model import SpaceClip

SIZE = (40, 60)
# Operators of TensorRT 8.6's and 10's ONNX parser (github.com/onnx/onnx-tensorrt, docs/operators.md) that exports use.
# fmt: off
TENSORRT = {
    "Add", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Erf", "Exp", "Gather",
    "Gemm", "LayerNormalization", "MatMul", "Mul", "Relu", "Reshape", "Resize", "Sigmoid", "Slice",
    "Softmax", "Split", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
}
# fmt: on


@pytest.fixture(scope="module")
def half(plainly_traced: onnx.ModelProto) -> onnx.ModelProto:
    return to_fp16(plainly_traced)


def run(graph: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def types(graph: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    known = {value.name: value.type.tensor_type.elem_type for value in values}
    return known | {tensor.name: tensor.data_type for tensor in inferred.initializer}


def test_every_product_of_the_network_is_fp16_and_nothing_that_must_not_be(half: onnx.ModelProto) -> None:
    known = types(half)
    for node in half.graph.node:
        kept = node.name.startswith(("/model/decoder/film.", "/model/depth_head/depth", "/model/depth_head/Relu"))
        product = node.op_type in ("MatMul", "Conv", "ConvTranspose", "Gemm")
        if node.op_type in ("LayerNormalization", "Softmax", "Resize") or kept or not node.name.startswith("/model/"):
            assert TensorProto.FLOAT16 not in {known[name] for name in node.output} or node.op_type == "Cast", node.name
        elif product:
            assert {known[name] for name in (*node.input, *node.output)} == {TensorProto.FLOAT16}, node.name
    assert known["image"] == TensorProto.UINT8 and known["depth"] == TensorProto.FLOAT


def test_it_computes_the_model(plainly_traced: onnx.ModelProto, half: onnx.ModelProto) -> None:
    image = synthetic_images(*SIZE)[1][None]
    np.testing.assert_allclose(run(half, image), run(plainly_traced, image), rtol=0.02)


def test_it_is_smaller_static_and_within_tensorrts_operators(
    plainly_traced: onnx.ModelProto, half: onnx.ModelProto
) -> None:
    assert half.ByteSize() < 0.7 * plainly_traced.ByteSize()
    assert {node.op_type for node in half.graph.node} <= TENSORRT
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True, data_prop=True).graph
    for value in inferred.value_info:
        assert all(axis.HasField("dim_value") for axis in value.type.tensor_type.shape.dim), value.name


def test_each_tensor_is_converted_once(half: onnx.ModelProto) -> None:
    casts = [(node.input[0], node.attribute[0].i) for node in half.graph.node if node.op_type == "Cast"]
    assert len(casts) == len(set(casts))


def test_the_source_stays_as_it_was(plainly_traced: onnx.ModelProto, half: onnx.ModelProto) -> None:
    assert TensorProto.FLOAT16 not in set(types(plainly_traced).values())
    assert half.opset_import == plainly_traced.opset_import


def test_a_weight_beyond_fp16_is_refused(plainly_traced: onnx.ModelProto) -> None:
    wrong = onnx.ModelProto()
    wrong.CopyFrom(plainly_traced)
    name = next(node for node in wrong.graph.node if node.op_type == "Conv" and "conv1" in node.name).input[1]
    weight = next(tensor for tensor in wrong.graph.initializer if tensor.name == name)
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) + np.float32(7e4), name))
    with pytest.raises(ExportError, match=r"holds 7e\+04, more than fp16's 65504; export with --precision fp32"):
        to_fp16(wrong)


def test_uncertainty_stays_fp32_from_its_last_convolution_on(tiny_model: Callable[..., SpaceClip]) -> None:
    traced = _traced(with_merged_adapters(tiny_model(uncertainty=True)), SIZE, 1, bands=1)
    half = to_fp16(traced)
    known = types(half)
    head = [node for node in half.graph.node if node.name.startswith("/model/uncertainty_head/")]
    refined = [node for node in head if "/refine/" in node.name and node.op_type == "Conv"]
    last = [node for node in head if "/refine/" not in node.name]
    assert {node.op_type for node in last} == {"Conv", "Clip", "Exp"}
    assert {known[name] for node in last for name in node.output} == {TensorProto.FLOAT}
    assert {known[name] for node in refined for name in node.output} == {TensorProto.FLOAT16}
    assert known["uncertainty"] == TensorProto.FLOAT
