"""Cuts an ONNX file down to some of its outputs, so that a session computes nothing that only the others need.

ONNX Runtime runs every node of a graph, whatever outputs a run asks for (its ``only_execute_path_to_fetches`` does
nothing in the builds for inference). A robot lacks the ``onnx`` package, so this reads the few protobuf fields of
onnx.proto that matter and copies the rest as it is.
"""

from __future__ import annotations

from collections.abc import Collection

from space_clip_ros.inference.protobuf import LENGTH_DELIMITED, Field, fields, varint

_GRAPH = 7
"""Field of ModelProto."""
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12
"""Fields of GraphProto."""
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_INITIALIZER_NAME, _OUTPUT_NAME = 8, 1


def partial_graph(model: bytes, outputs: Collection[str]) -> bytes:
    """Return a model without the outputs that are not named, and without nodes and weights that only those need.

    Args:
        model: an ONNX file of this package, whose graphs have no control flow.
        outputs: names of the outputs to keep.

    Raises:
        ValueError: these bytes are not protobuf, or an output is not in the graph.
    """
    parts = []
    for field in fields(memoryview(model)):
        if field.number != _GRAPH:
            parts.append(bytes(field.whole))
            continue
        graph = _cut(field.content, set(outputs))
        parts += [varint(_GRAPH << 3 | LENGTH_DELIMITED), varint(len(graph)), graph]
    return b"".join(parts)


def _cut(graph: memoryview, outputs: set[str]) -> bytes:
    members = list(fields(graph))
    kept = [field for field in members if field.number == _OUTPUT and _texts(field, _OUTPUT_NAME)[0] in outputs]
    if missing := outputs - {_texts(field, _OUTPUT_NAME)[0] for field in kept}:
        raise ValueError(f"the graph has no output {', '.join(sorted(missing))}")
    needed, used = set(outputs), set()
    # Nodes are in the order in which they run, so from the last to the first each is seen after those that need it.
    for index in reversed([index for index, field in enumerate(members) if field.number == _NODE]):
        if needed.intersection(_texts(members[index], _NODE_OUTPUT)):
            used.add(index)
            needed.update(_texts(members[index], _NODE_INPUT))
    parts = []
    for index, field in enumerate(members):
        if field.number == _NODE:
            keep = index in used
        elif field.number == _INITIALIZER:
            keep = _texts(field, _INITIALIZER_NAME)[0] in needed
        else:
            keep = field.number != _OUTPUT or field in kept
        if keep:
            parts.append(bytes(field.whole))
    return b"".join(parts)


def _texts(field: Field, number: int) -> list[str]:
    """Return the texts of a message's field."""
    return [str(inner.content, "utf-8") for inner in fields(field.content) if inner.number == number]
