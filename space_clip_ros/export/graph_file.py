"""Writes ONNX files with their metadata properties."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

LARGEST_FILE = 2**31 - 1
"""Largest size of a protobuf message, and so of one ONNX file, bytes."""


def write_graph(graph: onnx.ModelProto, properties: Mapping[str, str], file: Path) -> None:
    """Write a graph; its metadata properties are replaced by these."""
    onnx.helper.set_model_props(graph, dict(properties))
    file.write_bytes(graph.SerializeToString())
