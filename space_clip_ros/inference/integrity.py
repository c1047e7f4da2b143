"""Checks that an exported file still holds the graph that was written, so that a damaged copy is never run.

Reads an exported file's metadata, too, without its graph.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path

from space_clip_ros.errors import ModelError

# Field number of onnx.proto's ModelProto.
_METADATA_PROPERTIES = 14
# Wire types of protobuf (https://protobuf.dev/programming-guides/encoding) and the bytes of those of fixed length.
_VARINT, _LENGTH_DELIMITED = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
_MAX_SHIFT = 63


def graph_sha256(model: memoryview) -> str:
    """Return the SHA-256 of a serialised ONNX model without its metadata properties, in hexadecimal.

    Raises:
        ValueError: the bytes end too early or are not a protobuf message.
    """
    digest = hashlib.sha256()
    for number, field in _fields(model):
        if number != _METADATA_PROPERTIES:
            digest.update(field)
    return digest.hexdigest()


def read_properties(file: Path) -> dict[str, str]:
    """Return the metadata properties of an ONNX file; its graph and weights are not read.

    Raises:
        ModelError: the file is damaged, or not an ONNX file.
    """
    properties = None
    with contextlib.suppress(ValueError), _mapped(file) as model:  # an empty file cannot be mapped
        properties = _properties(model)
    if properties is None:
        raise ModelError(file, "is not a whole ONNX file", "copy it again, or export it again")
    return properties


def check_graph(file: Path, expected: str) -> None:
    """Compare the graph and weights of ``file`` with the hash that its metadata holds.

    Args:
        file: an exported file.
        expected: what :func:`graph_sha256` returned when the file was written.

    Raises:
        ModelError: they differ.
    """
    with _mapped(file) as model:
        actual = graph_sha256(model)
    if actual != expected:
        raise ModelError(
            file,
            f"its graph is not the one that was exported (SHA-256 {actual[:12]}… instead of {expected[:12]}…)",
            "copy the file again, or export it again",
        )


@contextlib.contextmanager
def _mapped(file: Path) -> Iterator[memoryview]:
    """Yield a file's bytes, mapped and not read: it may be almost a gigabyte."""
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as model,
    ):
        yield model


def _properties(model: memoryview) -> dict[str, str] | None:
    """Return a model's properties, or None if the bytes are not an ONNX model."""
    # An exception's traceback would keep the file mapped.
    properties = {}
    try:
        for number, field in _fields(model):
            if number == _METADATA_PROPERTIES:
                # Key and value lie in a message of their own, behind its tag and its length.
                start = _varint(field, _varint(field, 0)[1])[1]
                entry = {part: bytes(text[_varint(text, 1)[1] :]) for part, text in _fields(field[start:])}
                properties[entry[1].decode()] = entry.get(2, b"").decode()
    except (ValueError, KeyError):
        return None
    return properties


# A robot runs exported files without the onnx package, and ONNX Runtime does not give out a file's bytes field by
# field, so the outermost level of the message is read here.
def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the bytes, tag included, of each top-level field of a protobuf message."""
    position = 0
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == _VARINT:
            _, position = _varint(message, position)
        elif wire_type == _LENGTH_DELIMITED:
            length, position = _varint(message, position)
            position += length
        elif wire_type in _FIXED_BYTES:
            position += _FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"unknown wire type {wire_type}")
        if position > len(message):
            raise ValueError("the message ends too early")
        yield tag >> 3, message[start:position]


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number that begins at ``position``, and the position after it."""
    value = shift = 0
    while position < len(message) and shift <= _MAX_SHIFT:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("the message ends too early")
