"""Cuts an ONNX file down to some of its outputs, so that a session computes nothing that only the others need.

ONNX Runtime runs every node of a graph, whatever outputs a run asks for (its ``only_execute_path_to_fetches`` does
nothing in the builds for inference). A robot lacks the ``onnx`` package, so this reads the few protobuf fields of
onnx.proto that matter and copies the rest as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

_GRAPH = 7
"""Field of ModelProto."""
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12
"""Fields of GraphProto."""
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_INITIALIZER_NAME, _OUTPUT_NAME = 8, 1
_VARINT, _EIGHT_BYTES, _TEXT, _FOUR_BYTES = 0, 1, 2, 5


class _Field(NamedTuple):
    number: int
    whole: memoryview
    content: memoryview


def partial_graph(model: bytes, outputs: Collection[str]) -> bytes:
    """Return a model without the outputs that are not named, and without nodes and weights that only those need.

    Args:
        model: an ONNX file of this package, whose graphs have no control flow.
        outputs: names of the outputs to keep.

    Raises:
        ValueError: these bytes are not protobuf, or an output is not in the graph.
    """
    fields = list(_fields(memoryview(model)))
    parts = []
    for field in fields:
        if field.number != _GRAPH:
            parts.append(bytes(field.whole))
            continue
        graph = _cut(field.content, set(outputs))
        parts += [_varint(_GRAPH << 3 | _TEXT), _varint(len(graph)), graph]
    return b"".join(parts)


def _cut(graph: memoryview, outputs: set[str]) -> bytes:
    fields = list(_fields(graph))
    kept = [field for field in fields if field.number == _OUTPUT and _texts(field, _OUTPUT_NAME)[0] in outputs]
    if missing := outputs - {_texts(field, _OUTPUT_NAME)[0] for field in kept}:
        raise ValueError(f"the graph has no output {', '.join(sorted(missing))}")
    needed, used = set(outputs), set()
    # Nodes are in the order in which they run, so from the last to the first each is seen after those that need it.
    for index in reversed([index for index, field in enumerate(fields) if field.number == _NODE]):
        if needed.intersection(_texts(fields[index], _NODE_OUTPUT)):
            used.add(index)
            needed.update(_texts(fields[index], _NODE_INPUT))
    parts = []
    for index, field in enumerate(fields):
        if field.number == _NODE:
            keep = index in used
        elif field.number == _INITIALIZER:
            keep = _texts(field, _INITIALIZER_NAME)[0] in needed
        else:
            keep = field.number != _OUTPUT or field in kept
        if keep:
            parts.append(bytes(field.whole))
    return b"".join(parts)


def _texts(field: _Field, number: int) -> list[str]:
    """Return the texts of a message's field."""
    return [str(inner.content, "utf-8") for inner in _fields(field.content) if inner.number == number]


def _fields(message: memoryview) -> Iterator[_Field]:
    """Yield the fields of a protobuf message."""
    at = 0
    while at < len(message):
        begin = at
        tag, at = _read_varint(message, at)
        kind, start = tag & 7, at
        if kind == _VARINT:
            _, at = _read_varint(message, at)
        elif kind == _TEXT:
            length, start = _read_varint(message, at)
            at = start + length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"unknown protobuf type {kind} at byte {begin}")
        if at > len(message):
            raise ValueError("the message ends early")
        yield _Field(tag >> 3, message[begin:at], message[start:at])


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("the message ends early")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
