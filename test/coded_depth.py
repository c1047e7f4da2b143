"""A model whose depth is written in the picture itself, so that a test knows what the whole node must make of it.

Asked for language features, it also reads names from the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from space_clip_ros.inference.integrity import graph_sha256
from space_clip_ros.inference.metadata import INPUT_NAME, OUTPUT_NAME, OnnxMetadata
from space_clip_ros.model_config import LANGUAGE_OUTPUTS, EncoderConfig, LanguageConfig, ModelConfig

_SIZE = ["batch", "height", "width"]


def picture(depth: np.ndarray, labels: np.ndarray | int = 77) -> np.ndarray:
    """Return the (H, W, 3) uint8 picture in which the model sees a depth: metres * 256 in red and green, 0 invalid.

    Blue is the number of each pixel's name, for models with language features.
    """
    codes = np.nan_to_num(np.rint(depth * 256), nan=0.0).clip(0, 65535).astype(np.uint16)
    return np.stack([codes >> 8, codes & 255, np.broadcast_to(labels, codes.shape)], axis=-1).astype(np.uint8)


def language_config(names: Sequence[str] = (), size: int = 0, tower: str = "", side: int = 256) -> ModelConfig:
    """Return the configuration of a model with language features, on a grid of ``side`` / 16 patches a side.

    Args:
        names: its closed list of names (four times as many patches a side); empty for a joint space of ``size``.
        size: length of the vectors of a joint space.
        tower: its hash.
        side: of the model's input, pixels.
    """
    language = LanguageConfig(
        outputs=LANGUAGE_OUTPUTS, embed_dim=len(names) or size, vocabulary=tuple(names), tower=tower
    )
    return ModelConfig(name="coded_depth", encoder=EncoderConfig(), input_size=(side, side), language=language)


def write_model(path: Path, config: ModelConfig | None = None) -> Path:
    """Write the model, which ONNX Runtime runs like any other.

    Args:
        path: the file.
        config: with language features, the vector of a patch is the axis whose number is its blue; None for depth
            alone.
    """
    config = config or ModelConfig(name="coded_depth")
    nodes = [
        helper.make_node("Cast", [INPUT_NAME], ["values"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["values", "weights"], [OUTPUT_NAME]),
    ]
    constants = {"weights": np.array([1.0, 1 / 256, 0.0], np.float32)}
    outputs = [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, _SIZE)]
    if config.language.outputs:
        # Each patch takes the blue of the pixel in its middle.
        nodes += [
            helper.make_node("Gather", ["values", "blue"], ["codes"], axis=3),
            helper.make_node("Resize", ["codes", "", "", "grid"], ["patches"], axes=[1, 2], mode="nearest"),
            helper.make_node("Equal", ["patches", "axes"], ["equal"]),
            helper.make_node("Cast", ["equal"], ["dense"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["dense", "both"], ["mean"], keepdims=0),
            helper.make_node("LpNormalization", ["mean"], ["embedding"], axis=-1, p=2),
        ]
        constants |= {
            "blue": np.array([2], np.int64),
            "grid": np.array(config.dense_grid, np.int64),
            "axes": np.arange(config.language.embed_dim, dtype=np.float32),
            "both": np.array([1, 2], np.int64),
        }
        shapes = {name: ["batch", *(config.outputs[name] or ())] for name in LANGUAGE_OUTPUTS}
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(
        nodes,
        "coded_depth",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [*_SIZE, 3])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    sha256 = graph_sha256(memoryview(model.SerializeToString()))
    helper.set_model_props(model, OnnxMetadata(config, batch=None, graph_sha256=sha256).to_properties())
    onnx.save(model, str(path))
    return path
