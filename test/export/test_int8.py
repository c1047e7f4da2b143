"""The int8 graph: what is quantised, with which scales, and that it still computes the model."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from space_clip_ros.export.int8 import to_int8
from space_clip_ros.export.onnx import _traced
from space_clip_ros.export.simplify import simplify
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.model import SpaceClip

SIZE = (40, 60)
IMAGES = synthetic_images(*SIZE)


@pytest.fixture(scope="module")
def traced(model: SpaceClip) -> onnx.ModelProto:
    torch.set_num_threads(1)
    return _traced(simplify(model, quantised=True), SIZE, 1)


@pytest.fixture(scope="module")
def quantised(traced: onnx.ModelProto) -> onnx.ModelProto:
    return to_int8(traced, [*IMAGES, np.zeros((30, 30, 3), np.uint8)], SIZE, 1)


@pytest.fixture(scope="module")
def symmetric(plainly_traced: onnx.ModelProto) -> onnx.ModelProto:
    return to_int8(plainly_traced, IMAGES, SIZE, 1, symmetric=True)


def test_products_of_the_encoder_and_convolutions_are_quantised_per_channel(
    model: SpaceClip, quantised: onnx.ModelProto
) -> None:
    made = {output: node for node in quantised.graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in quantised.graph.initializer}
    products = [node for node in quantised.graph.node if node.op_type in ("Conv", "MatMul", "Gemm", "ConvTranspose")]
    low = [node for node in products if node.input[1] in made and made[node.input[1]].op_type == "DequantizeLinear"]
    assert all(node.name.startswith(("/model/encoder/", "/model/decoder/")) for node in low)
    assert not any("film" in node.name for node in low)
    assert Counter(node.op_type for node in low)["MatMul"] == 4 * model.config.encoder.layers
    for node in low:
        values, scale, *_ = made[node.input[1]].input
        assert weights[values].data_type == onnx.TensorProto.INT8 and weights[scale].dims, "a scale a channel"
    kept = {node.op_type for node in products if node not in low}
    assert kept == {"MatMul", "Gemm", "Conv"}, "attention, FiLM and the depth head are not; nothing is transposed"


def test_a_relu_behind_a_convolution_is_done_by_rounding(traced: onnx.ModelProto, quantised: onnx.ModelProto) -> None:
    def behind(graph: onnx.ModelProto, kind: str) -> list[onnx.NodeProto]:
        made = {output: node.op_type for node in graph.graph.node for output in node.output}
        return [node for node in graph.graph.node if node.op_type == "Relu" and made[node.input[0]] == kind]

    assert len(behind(traced, "Conv")) >= 15
    # quantised both before and after the ReLU, it would cost two more passes and round twice
    assert not behind(quantised, "DequantizeLinear")


def test_standard_operators_only(traced: onnx.ModelProto, quantised: onnx.ModelProto) -> None:
    assert [(opset.domain, opset.version) for opset in quantised.opset_import] == [("", 17)]
    assert all(node.domain == "" for node in quantised.graph.node)
    assert quantised.producer_name == traced.producer_name
    assert quantised.ByteSize() < traced.ByteSize()


@pytest.mark.parametrize("pair", [("traced", "quantised"), ("plainly_traced", "symmetric")])
def test_it_computes_the_model(pair: tuple[str, str], request: pytest.FixtureRequest) -> None:
    options = onnxruntime.SessionOptions()
    # as our sessions have it: without VNNI, sums of int8 products would overflow
    options.add_session_config_entry("session.x64quantprecision", "1")
    depths = [
        onnxruntime.InferenceSession(
            request.getfixturevalue(name).SerializeToString(), options, providers=["CPUExecutionProvider"]
        ).run(None, {"image": IMAGES[1][None]})[0]
        for name in pair
    ]
    difference = np.abs(depths[1] - depths[0]) / depths[0]
    assert 0 < difference.mean() < 0.05


def test_for_tensorrt_quantisation_is_symmetric(model: SpaceClip, symmetric: onnx.ModelProto) -> None:
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in symmetric.graph.initializer}
    made = {output: node for node in symmetric.graph.node for output in node.output}
    pairs = [node for node in symmetric.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    zeros = [constants[node.input[2]] for node in pairs]
    assert {zero.dtype for zero in zeros} == {np.dtype(np.int8)}, "no dequantised int32 bias either"
    assert not any(zero.any() for zero in zeros)

    def quantises(name: str) -> onnx.NodeProto:
        low = made[name]
        assert low.op_type == "DequantizeLinear"
        quantised = made[low.input[0]]
        assert quantised.op_type == "QuantizeLinear", "TensorRT quantises weights itself, from float32"
        return quantised

    weighted = [node for node in symmetric.graph.node if node.op_type in ("Conv", "MatMul") and node.input[1] in made]
    products = [node for node in weighted if made[node.input[1]].op_type == "DequantizeLinear"]
    assert Counter(node.op_type for node in products)["MatMul"] == 4 * model.config.encoder.layers
    for node in products:
        assert quantises(node.input[0]).input[0] not in constants
        weights = quantises(node.input[1])
        assert constants[weights.input[0]].dtype == np.float32 and constants[weights.input[1]].ndim == 1
        assert len(node.input) == 2 or node.input[2] in constants, "the bias is float32"


def test_the_quantiser_has_nothing_to_advise(
    traced: onnx.ModelProto, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    to_int8(traced, IMAGES[:1], SIZE, 1)
    assert not caplog.records
    assert capfd.readouterr().err == ""
