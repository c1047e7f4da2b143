"""NVIDIA's tools read the graphs for TensorRT: Polygraphy inspects them, and what it sanitises computes the same."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from space_clip_ros.export.fp16 import to_fp16
from space_clip_ros.export.int8 import to_int8
from space_clip_ros.export.onnx import _traced
from space_clip_ros.export.simplify import with_merged_adapters
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.model import SpaceClip

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("polygraphy", "onnx_graphsurgeon")),
    reason="needs polygraphy and onnx-graphsurgeon",
)
SIZE = (60, 100)
IMAGES = synthetic_images(*SIZE)
CONVERSIONS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "fp16": to_fp16,
    "int8": lambda graph: to_int8(graph, IMAGES, SIZE, 1, symmetric=True),
}


def polygraphy(*arguments: object) -> str:
    command = [sys.executable, "-c", "from polygraphy.tools import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def depth(file: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(["depth"], {"image": IMAGES[1][None]})[0]


@pytest.mark.parametrize("precision", CONVERSIONS)
def test_it_reads_and_sanitises_what_tensorrt_is_given(model: SpaceClip, tmp_path: Path, precision: str) -> None:
    traced = _traced(with_merged_adapters(model), SIZE, 1, bands=1, half_resize=precision == "fp16")
    graph = CONVERSIONS[precision](traced)
    file, sanitised = tmp_path / "graph.onnx", tmp_path / "sanitised.onnx"
    onnx.save(graph, file)
    seen = polygraphy("inspect", "model", file)
    assert "{image [dtype=uint8, shape=(1, 60, 100, 3)]}" in seen
    assert "{depth [dtype=float32, shape=(1, 60, 100)]}" in seen
    assert f"---- {len(graph.graph.node)} Node(s) ----" in seen
    polygraphy("surgeon", "sanitize", "--fold-constants", file, "-o", sanitised)
    result = onnx.load(sanitised)
    onnx.checker.check_model(result, full_check=True)
    kinds = [sum(node.op_type == kind for node in result.graph.node) for kind in ("Conv", "MatMul", "Gemm")]
    assert kinds == [sum(node.op_type == kind for node in graph.graph.node) for kind in ("Conv", "MatMul", "Gemm")]
    found, expected = depth(sanitised), depth(file)
    assert expected.std() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3)
