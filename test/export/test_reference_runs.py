"""Files for GPUs, run by ONNX's own reference in their own types: real fp16 arithmetic, and symmetric int8."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch.nn import functional

from space_clip_ros.export.fp16 import to_fp16
from space_clip_ros.export.int8 import to_int8
from space_clip_ros.export.onnx import _traced
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.model import build
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig

SIZE = (6, 8)


class Resize(OpRun):
    """ONNX's reference resizes pixel by pixel in Python, which takes 97 % of a run; PyTorch gives the same numbers."""

    op_domain = ""

    def _run(self, x: np.ndarray, roi: Any = None, scales: Any = None, sizes: Any = None, **named: Any) -> tuple[Any]:
        assert x.dtype == np.float32 and named["mode"] == "linear"
        size = tuple(int(one) for one in sizes[2:])
        resized = functional.interpolate(torch.from_numpy(x.copy()), size=size, mode="bilinear", align_corners=False)
        return (resized.numpy(),)


@pytest.fixture(scope="module", params=["clip", "siglip"])
def graph(request: pytest.FixtureRequest) -> onnx.ModelProto:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    encoder = EncoderConfig(kind=request.param, width=16, heads=2, image_size=4, patch_size=2)
    decoder = DecoderConfig(channels=(2, 2, 2, 2), film_hidden=4)
    model = build(ModelConfig(encoder=encoder, decoder=decoder, input_size=(4, 4))).eval()
    with torch.no_grad():
        model.depth_head.depth.weight.mul_(20.0)
        model.depth_head.depth.bias.fill_(5.0)
    return _traced(model, SIZE, 1, bands=1)


def run(graph: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def checked(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Check a graph in full, types and shapes included, and return it."""
    onnx.checker.check_model(graph, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(graph, check_type=True, strict_mode=True, data_prop=True)
    assert all(
        axis.HasField("dim_value") for value in inferred.graph.value_info for axis in value.type.tensor_type.shape.dim
    )
    return graph


def test_fp16_is_what_fp16_arithmetic_gives(graph: onnx.ModelProto) -> None:
    image = synthetic_images(*SIZE)[1][None]
    expected = run(graph, image)
    (depth,) = ReferenceEvaluator(checked(to_fp16(graph)), new_ops=[Resize]).run(None, {"image": image})
    assert depth.dtype == np.float32 and np.ptp(expected) > 0.01
    np.testing.assert_allclose(depth, expected, rtol=2e-3)
    assert not np.array_equal(depth, expected)


def test_symmetric_int8_is_what_int8_arithmetic_gives(graph: onnx.ModelProto) -> None:
    images = synthetic_images(*SIZE)
    image = images[1][None]
    quantised = checked(to_int8(graph, images, SIZE, 1, symmetric=True))
    newer = onnx.ModelProto()
    newer.CopyFrom(quantised)
    newer.opset_import[0].version = 19  # the reference knows quantisation only from there on
    (depth,) = ReferenceEvaluator(newer, new_ops=[Resize]).run(None, {"image": image})
    np.testing.assert_allclose(depth, run(quantised, image), rtol=1e-3)
    np.testing.assert_allclose(depth, run(graph, image), rtol=5e-2)
