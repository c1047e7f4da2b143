"""Whether an exported file is still the one that was written: cut short, or with other bytes in it, it is not run."""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

from space_clip_ros.errors import ModelError
from space_clip_ros.inference.protobuf import fields

_METADATA_PROPERTY = 14  # field number in onnx.proto's ModelProto


def graph_sha256(model: memoryview) -> str:
    """Return the SHA-256 of a serialised ONNX model without its metadata properties, in hexadecimal.

    Raises:
        ValueError: the bytes end too early or are no message.
    """
    digest = hashlib.sha256()
    for field in fields(model):
        if field.number != _METADATA_PROPERTY:
            digest.update(field.whole)
    return digest.hexdigest()


def check_graph(file: Path, expected: str) -> None:
    """Compare the graph and weights of ``file`` with the hash its metadata gives.

    Args:
        file: an exported file.
        expected: what :func:`graph_sha256` said when it was written; empty in files from before there was one.

    Raises:
        ModelError: they differ.
    """
    if not expected:
        return
    # mapped, not read: the file may be most of a gigabyte
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as model,
    ):
        found = graph_sha256(model)
    if found != expected:
        raise ModelError(
            f"{file}: its graph is not the one that was exported (SHA-256 {found[:12]}… instead of {expected[:12]}…); "
            f"copy the file again, or export it again"
        )
