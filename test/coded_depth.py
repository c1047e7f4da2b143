"""A model whose depth is written in the picture itself, so that a test knows what the whole node must make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from space_clip_ros.config import ModelConfig
from space_clip_ros.inference.metadata import INPUT_NAME, OUTPUT_NAME, OnnxMetadata


def picture(depth: np.ndarray) -> np.ndarray:
    """Return the (H, W, 3) uint8 picture in which the model sees a depth: metres * 256 in red and green, 0 invalid."""
    codes = np.nan_to_num(np.rint(depth * 256), nan=0.0).clip(0, 65535).astype(np.uint16)
    return np.stack([codes >> 8, codes & 255, np.full_like(codes, 77)], axis=-1).astype(np.uint8)


def write_model(path: Path) -> Path:
    """Write the model, which ONNX Runtime runs like any other."""
    size = ["batch", "height", "width"]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [INPUT_NAME], ["values"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["values", "weights"], [OUTPUT_NAME]),
        ],
        "coded_depth",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [*size, 3])],
        [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, size)],
        [numpy_helper.from_array(np.array([1.0, 1 / 256, 0.0], np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    properties = OnnxMetadata(ModelConfig(name="coded_depth"), batch=None).to_properties()
    helper.set_model_props(model, properties)
    onnx.save(model, str(path))
    return path
