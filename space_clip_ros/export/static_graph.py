"""An exported file as TensorRT reads it: for one image size, with the input converted to float32 first.

TensorRT accepts bytes only as a network's input and wants them converted to a floating-point type before anything else
(``tensorrt.DataType.UINT8``). The exported graph first transposes and crops, which is cheaper on a CPU. So the input
gets another name, and a conversion is put in front of the graph.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.constant_folding import fold_sizes
from space_clip_ros.inference.metadata import INPUT_NAME, OnnxMetadata

BYTES_NAME = f"{INPUT_NAME}_bytes"
"""Name of the uint8 input of the static graph."""


def static_graph(file: Path, metadata: OnnxMetadata, size: tuple[int, int]) -> bytes:
    """Return the graph of ``file`` as serialised ONNX for one image of one size, converted from uint8 to float32 first.

    Args:
        file: written by ``space_clip export``.
        metadata: of the file.
        size: height and width of the images, pixels.

    Raises:
        InputError: the file is made for another size or number of images, or is quantised to unsigned numbers.
        ExportError: the file cannot be read as ONNX.
    """
    height, width = size
    again = f"export it again with --height {height} --width {width}"
    if metadata.size not in (None, size):
        raise InputError(
            file,
            f"is made for images of {metadata.size[1]} x {metadata.size[0]} pixels, not {width} x {height}",
            again,
        )
    if metadata.batch not in (None, 1):
        raise InputError(
            file,
            f"takes {metadata.batch} images at once, an engine takes one",
            "export it without --batch",
        )
    try:
        model = onnx.load(file)
        (image,) = model.graph.input
    except (DecodeError, ValueError) as error:
        raise ExportError(file, "is not a whole ONNX file", "export it again") from error
    if metadata.precision == "int8" and TensorProto.UINT8 in _zero_point_types(model):
        raise InputError(
            file,
            "is quantised for CPUs, to unsigned numbers with a zero point; TensorRT takes symmetric int8 only",
            f"{again} --precision int8 --symmetric",
        )
    if metadata.size is None:
        model = fold_sizes(model, (1, height, width, 3))
        (image,) = model.graph.input
    image.CopyFrom(helper.make_tensor_value_info(BYTES_NAME, TensorProto.UINT8, (1, height, width, 3)))
    to_float = helper.make_node("Cast", [BYTES_NAME], [INPUT_NAME], name="to_float", to=TensorProto.FLOAT)
    model.graph.node.insert(0, to_float)
    # the types noted for intermediate values no longer hold
    del model.graph.value_info[:]
    content: bytes = model.SerializeToString()
    return content


def _zero_point_types(model: onnx.ModelProto) -> set[int]:
    """Return the data types of all zero points, which are the types that values are quantised to."""
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    # the last input of QuantizeLinear (value, scale, zero point)
    zero_points = {node.input[-1] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    return {types[name] for name in zero_points if name in types}
