"""An exported file as TensorRT reads it: one image size, and numbers TensorRT computes with from the first operator on.

TensorRT takes bytes only at the door: a network's uint8 input must be converted to a floating-point type before
anything else is done with it (``tensorrt.DataType.UINT8``), while the exported graph first transposes and cuts, which
is cheaper on a CPU. So the input gets another name and a conversion in front. That is done on protobuf's wire format
(https://protobuf.dev/programming-guides/encoding), because a robot has no ``onnx`` package and needs none otherwise.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime

from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.inference.metadata import BATCH_NAME, HEIGHT_NAME, INPUT_NAME, WIDTH_NAME, OnnxMetadata
from space_clip_ros.inference.protobuf import BYTES, VARINT, fields, read_number

BYTES_NAME = f"{INPUT_NAME}_bytes"
"""What the input is called after the rewrite."""
_UINT8, _FLOAT = 2, 1  # onnx.TensorProto.DataType
# field numbers of onnx.proto
_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_VALUE_INFO = 1, 5, 11, 13
_NODE_INPUT, _NODE_OPERATOR = 1, 4
_TENSOR_TYPE, _TENSOR_NAME = 2, 8


def static_graph(file: Path, metadata: OnnxMetadata, size: tuple[int, int]) -> bytes:
    """Return the graph of ``file`` for one image of one size, uint8 converted to float32 first.

    Args:
        file: written by ``space_clip export``.
        metadata: what it says about itself.
        size: height and width of the images, pixels.

    Raises:
        InputError: the file is made for another size or number of images; takes any size in fp16 or int8, which ONNX
            Runtime, that computes what depends on the size alone, would undo; or is quantised to unsigned numbers.
        ExportError: the file cannot be read as ONNX.
    """
    height, width = size
    again = f"export it again with --height {height} --width {width}"
    if metadata.size not in (None, size):
        raise InputError(
            f"{file}: is made for images of {metadata.size[1]} x {metadata.size[0]} pixels, not {width} x {height}; "
            f"{again}"
        )
    if metadata.batch not in (None, 1):
        raise InputError(
            f"{file}: takes {metadata.batch} images at once, an engine takes one; export it without --batch"
        )
    if metadata.size is None and metadata.precision != "fp32":
        raise InputError(f"{file}: takes images of any size, in {metadata.precision}; {again}")
    content = file.read_bytes() if metadata.size else _fixed(file, size)
    try:
        if metadata.precision == "int8" and _UINT8 in _quantized_types(memoryview(content)):
            raise InputError(
                f"{file}: is quantised for CPUs, to unsigned numbers with a zero point; TensorRT takes symmetric int8 "
                f"only; {again} --precision int8 --symmetric"
            )
        return _converted_first(content, (1, height, width, 3))
    except InputError:
        raise
    except (IndexError, ValueError) as error:
        raise ExportError(f"{file}: is not a whole ONNX file; export it again") from error


def _fixed(file: Path, size: tuple[int, int]) -> bytes:
    """Have ONNX Runtime compute all that depends on nothing but the image's size, with standard operators only."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    for name, value in zip((BATCH_NAME, HEIGHT_NAME, WIDTH_NAME), (1, *size), strict=True):
        options.add_free_dimension_override_by_name(name, value)
    with TemporaryDirectory(prefix="space_clip_engine_") as folder:
        fixed = Path(folder, "fixed.onnx")
        options.optimized_model_filepath = str(fixed)
        onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion"]
        )
        return fixed.read_bytes()


def _converted_first(model: bytes, shape: tuple[int, ...]) -> bytes:
    parts: list[bytes | memoryview] = []
    for field in fields(memoryview(model)):
        if field.number == _MODEL_GRAPH:
            parts.append(_message(_MODEL_GRAPH, _graph(field.content, shape)))
        # ONNX Runtime declares operator sets of its own, too, that nothing here uses
        elif field.number != _MODEL_OPSET or _is_standard(field.content):
            parts.append(field.whole)
    return b"".join(parts)


def _graph(graph: memoryview, shape: tuple[int, ...]) -> bytes:
    attribute = _message(1, b"to") + _number(3, _FLOAT) + _number(20, 2)  # AttributeProto: name, i, type INT
    cast = _message(1, BYTES_NAME.encode()) + _message(2, INPUT_NAME.encode()) + _message(3, b"to_float")
    parts: list[bytes | memoryview] = [_message(_GRAPH_NODE, cast + _message(4, b"Cast") + _message(5, attribute))]
    for field in fields(graph):
        # the types noted for values in between no longer hold
        if field.number == _GRAPH_VALUE_INFO:
            continue
        parts.append(_input(shape) if field.number == _GRAPH_INPUT else field.whole)
    return b"".join(parts)


def _input(shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(_message(1, _number(1, size)) for size in shape)  # TensorShapeProto: dim, dim_value
    tensor = _number(1, _UINT8) + _message(2, sizes)
    return _message(_GRAPH_INPUT, _message(1, BYTES_NAME.encode()) + _message(2, _message(1, tensor)))


def _quantized_types(model: memoryview) -> set[int]:
    """Return the data types of all zero points: what values are quantised to."""
    (graph,) = (field.content for field in fields(model) if field.number == _MODEL_GRAPH)
    types: dict[bytes, int] = {}
    zero_points: set[bytes] = set()
    for field in fields(graph):
        if field.number == _GRAPH_INITIALIZER:
            parts = {part.number: part.content for part in fields(field.content)}
            types[bytes(parts[_TENSOR_NAME])] = read_number(parts[_TENSOR_TYPE], 0)[0]
        elif field.number == _GRAPH_NODE:
            parts = {part.number: part.content for part in fields(field.content)}
            if bytes(parts[_NODE_OPERATOR]) == b"QuantizeLinear":
                # the last of its inputs: value, scale, zero point
                zero_points.add(bytes(parts[_NODE_INPUT]))
    return {types[name] for name in zero_points if name in types}


def _is_standard(opset: memoryview) -> bool:
    domains = [bytes(field.content) for field in fields(opset) if field.number == 1]
    return domains in ([], [b""])


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(content)) + content
