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
from space_clip_ros.inference.protobuf import fields

# Field number of onnx.proto's ModelProto.
_METADATA_PROPERTIES = 14
# Those of its StringStringEntryProto.
_KEY, _VALUE = 1, 2


def graph_sha256(model: memoryview) -> str:
    """Return the SHA-256 of a serialised ONNX model without its metadata properties, in hexadecimal.

    Raises:
        ValueError: the bytes end too early or are not a protobuf message.
    """
    digest = hashlib.sha256()
    for field in fields(model):
        if field.number != _METADATA_PROPERTIES:
            digest.update(field.whole)
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
        for field in fields(model):
            if field.number == _METADATA_PROPERTIES:
                entry = {part.number: bytes(part.content) for part in fields(field.content)}
                properties[entry[_KEY].decode()] = entry.get(_VALUE, b"").decode()
    except (ValueError, KeyError):
        return None
    return properties
