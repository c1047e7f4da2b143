"""The fp16 graph: which tensors are fp16, which stay fp32, how often it converts, and that it computes the model."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from space_clip_ros.errors import ExportError
from space_clip_ros.export.fp16 import to_fp16
from space_clip_ros.export.fp16_emulation import EmulatedSession
from space_clip_ros.export.onnx import _traced
from space_clip_ros.export.simplify import with_merged_adapters
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.half import fold_norms, halve, keeps_float32
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig

SIZE = (40, 60)
# Operators of TensorRT 8.6's and 10's ONNX parser (github.com/onnx/onnx-tensorrt, docs/operators.md) that exports use.
# fmt: off
TENSORRT = {
    "Add", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Erf", "Exp", "Gather",
    "Gemm", "LayerNormalization", "MatMul", "Mul", "Relu", "Reshape", "Resize", "Sigmoid", "Slice",
    "Softmax", "Split", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
}
# fmt: on
MOVING = ("Reshape", "Transpose", "Slice", "Split", "Squeeze", "Unsqueeze", "Gather")


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
        scope = node.name.removeprefix("/model/").replace("/", ".")
        kept = keeps_float32(scope) or not node.name.startswith("/model/")
        product = node.op_type in ("MatMul", "Conv", "ConvTranspose", "Gemm")
        if node.op_type in ("LayerNormalization", "Softmax", "Resize") or (product and kept):
            assert TensorProto.FLOAT16 not in {known[name] for name in node.output}, node.name
        elif product:
            assert {known[name] for name in (*node.input, *node.output)} == {TensorProto.FLOAT16}, node.name
    assert known["image"] == TensorProto.UINT8 and known["depth"] == TensorProto.FLOAT


@functools.cache
def traced(kind: str) -> tuple[torch.nn.Module, onnx.ModelProto]:
    torch.manual_seed(0)
    encoder = EncoderConfig(kind=kind, width=16, heads=2, image_size=32)
    model = build(ModelConfig(encoder=encoder, decoder=DecoderConfig(channels=(4, 4, 4, 4)), input_size=(32, 32)))
    return model, _traced(model, (20, 30), 1, bands=1)


# SigLIP's pooling also multiplies in its attention, which is no module, and its query is a constant in a graph.
@pytest.mark.parametrize(("kind", "attention"), [("clip", 0), ("siglip", 2 - 1)])
def test_the_same_products_stay_fp32_as_in_pytorch(kind: str, attention: int) -> None:
    model, graph = traced(kind)
    halved = copy.deepcopy(model)
    fold_norms(halved)
    halve(halved)
    products = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    modules = [module for module in halved.modules() if isinstance(module, products)]
    half = to_fp16(graph)
    known = types(half)
    found = [
        node.name
        for node in half.graph.node
        if node.op_type in ("MatMul", "Conv", "ConvTranspose", "Gemm")
        and node.name.startswith("/model/")
        and known[node.output[0]] == TensorProto.FLOAT
    ]
    assert len(found) == sum(module.weight.dtype == torch.float32 for module in modules) + attention


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_towers_residual_sum_is_fp32(kind: str) -> None:
    half = to_fp16(traced(kind)[1])
    known = types(half)
    makers = {name: node for node in half.graph.node for name in node.output}
    norms = [node for node in half.graph.node if node.op_type == "LayerNormalization"]
    assert len(norms) == 26
    for norm in norms:
        # not converted to fp32 for the norm, but added up in it
        assert known[norm.input[0]] == TensorProto.FLOAT
        maker = origin(norm.input[0], makers)
        assert maker is not None and maker.op_type in ("Add", "LayerNormalization"), norm.name


def origin(name: str, makers: Mapping[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """Return the node that made a tensor, before others moved its numbers."""
    maker = makers.get(name)
    while maker is not None and maker.op_type in MOVING:
        maker = makers.get(maker.input[0])
    return maker


def test_it_converts_no_more_than_it_must(half: onnx.ModelProto) -> None:
    casts = [node for node in half.graph.node if node.op_type == "Cast"]
    makers = {name: node for node in half.graph.node for name in node.output}
    for cast in casts:
        # not there and back again around something that only moves numbers
        maker = origin(cast.input[0], makers)
        assert maker is None or maker.op_type != "Cast", cast.name
    # In a block six: into both branches, out of both, and around the softmax.
    assert sum("/encoder/" in node.name for node in casts) == 12 * 6 + 1
    assert len(casts) == 103


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


def test_the_images_resize_is_fp16_where_it_shrinks(model: SpaceClip) -> None:
    network = with_merged_adapters(model)
    half = to_fp16(_traced(network, (60, 100), 1, bands=1, half_resize=True))
    assert {node.op_type for node in half.graph.node} <= TENSORRT
    known = types(half)
    resize = [node for node in half.graph.node if not node.name.startswith("/model/") and node.op_type == "MatMul"]
    assert len(resize) == 2
    assert {known[name] for node in resize for name in (*node.input, *node.output)} == {TensorProto.FLOAT16}
    (normalised,) = (node for node in half.graph.node if node.name == "/Add_1")
    assert {known[name] for name in (*normalised.input, *normalised.output)} == {TensorProto.FLOAT}
    image = synthetic_images(60, 100)[1][None]
    expected = run(_traced(network, (60, 100), 1, bands=1), image)
    np.testing.assert_allclose(run(half, image), expected, rtol=0.02)
    # grey levels less 128 and everything after them stay in range
    emulated = EmulatedSession(half)
    np.testing.assert_allclose(emulated.run(image), expected, rtol=0.02)
    assert emulated.largest < 65504
    enlarged = to_fp16(_traced(network, (20, 100), 1, bands=1, half_resize=True))
    known = types(enlarged)
    resize = [node for node in enlarged.graph.node if not node.name.startswith("/model/") and node.op_type == "MatMul"]
    assert {known[node.output[0]] for node in resize} == {TensorProto.FLOAT}
