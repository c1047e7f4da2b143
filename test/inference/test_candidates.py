"""Which backends are tried for a file, on which devices, in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from space_clip_ros.errors import BackendError
from space_clip_ros.inference.candidates import candidates

GRAPH, CHECKPOINT = Path("road.onnx"), Path("road.safetensors")


def tried(backend: str, device: str, file: Path = GRAPH) -> list[str]:
    return [f"{candidate.factory.name} {candidate.device}" for candidate in candidates(backend, device, file)]


@pytest.mark.parametrize(
    ("backend", "device", "expected"),
    [
        ("auto", "auto", ["tensorrt cuda", "onnxruntime cuda", "onnxruntime cpu"]),
        ("auto", "cuda:1", ["tensorrt cuda:1", "onnxruntime cuda:1"]),
        ("auto", "cpu", ["onnxruntime cpu"]),
        ("onnxruntime", "auto", ["onnxruntime cuda", "onnxruntime cpu"]),
        ("onnxruntime", "cuda", ["onnxruntime cuda"]),
        ("onnxruntime", "cpu", ["onnxruntime cpu"]),
        ("tensorrt", "auto", ["tensorrt cuda", "onnxruntime cuda"]),
    ],
)
def test_graphs(backend: str, device: str, expected: list[str]) -> None:
    assert tried(backend, device) == expected


def test_onnxruntimes_tensorrt_replaces_only_a_missing_one(fake_gpu: Any) -> None:
    assert tried("tensorrt", "cuda") == ["tensorrt cuda"]


@pytest.mark.parametrize(("device", "places"), [("auto", ["cuda", "cpu"]), ("cpu", ["cpu"]), ("cuda:1", ["cuda:1"])])
def test_checkpoints(device: str, places: list[str]) -> None:
    expected = [f"torch {place}" for place in places]
    assert tried("auto", device, CHECKPOINT) == tried("torch", device, CHECKPOINT) == expected


def test_a_package_is_for_one_device_and_says_which() -> None:
    assert tried("auto", "auto", Path("road.pt2")) == ["torch auto"]


@pytest.mark.parametrize(
    ("backend", "device", "file", "message"),
    [
        ("torch", "auto", GRAPH, r"^backend torch: cannot run road\.onnx; give backend onnxruntime or auto, or a che"),
        ("onnxruntime", "auto", CHECKPOINT, r"cannot run road\.safetensors; .*'space_clip export'"),
        (
            "tensorrt",
            "auto",
            CHECKPOINT,
            r"^backend tensorrt: cannot run road\.safetensors; give backend torch or auto",
        ),
        ("tensorrt", "cpu", GRAPH, "backend tensorrt: runs on a GPU, not on device cpu; give device auto or cuda"),
    ],
)
def test_refusals(backend: str, device: str, file: Path, message: str) -> None:
    with pytest.raises(BackendError, match=message):
        candidates(backend, device, file)
