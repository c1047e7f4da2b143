"""A small random model, as checkpoint and exported files; changes of an engine's key; a round trip on a device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.export.onnx import export
from space_clip_ros.files import file_sha256
from space_clip_ros.model import SpaceClip, save_checkpoint

MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def model_dir(made_once: MadeOnce, tiny_model: Callable[..., SpaceClip]) -> Path:
    """Holds any.onnx, one.onnx (any size, one image per run), fixed.onnx (100 x 60 pixels), pair.onnx (two of them at
    once), checkpoint.safetensors, and half.onnx (100 x 60 pixels, fp16), which says it was exported from that."""

    def make(folder: Path) -> None:
        model = tiny_model(max_depth=60.0, training_camera=(1242.0, 375.0, 721.5, 722.5))
        save_checkpoint(model, folder / "checkpoint.safetensors")
        export(model, folder / "any.onnx")
        export(model, folder / "one.onnx", batch=1)
        export(model, folder / "fixed.onnx", 60, 100)
        source = file_sha256(folder / "checkpoint.safetensors")
        export(model, folder / "half.onnx", 60, 100, precision="fp16", source_sha256=source)
        export(model, folder / "pair.onnx", 60, 100, batch=2)

    return made_once("models", make)


@pytest.fixture(scope="session")
def uncertain_dir(made_once: MadeOnce, tiny_model: Callable[..., SpaceClip]) -> Path:
    """Holds any.onnx, fixed.onnx (100 x 60 pixels) and checkpoint.safetensors of a model with uncertainty."""

    def make(folder: Path) -> None:
        model = tiny_model(uncertainty=True, uncertainty_factor=1.5)
        save_checkpoint(model, folder / "checkpoint.safetensors")
        export(model, folder / "any.onnx")
        export(model, folder / "fixed.onnx", 60, 100)

    return made_once("uncertain", make)


@pytest.fixture(
    params=[
        {"file_sha256": "cd34"},
        {"tensorrt": "10.3.1"},
        {"gpu": "Orin Nano"},
        {"compute_capability": "8.9"},
        {"multiprocessors": 4},
        {"precision": "int8"},
        {"shape": (1, 376, 1242, 3)},
    ],
    ids=lambda part: next(iter(part)),
)
def changed_part(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each part of an ``EngineKey`` in turn, with a value that the tests' key does not have."""
    return dict(request.param)


@pytest.fixture
def check_round_trip() -> Callable[[Any], None]:
    """Checks that data survives a copy to a device and back."""

    def check(cuda: Any) -> None:
        buffer = cuda.buffer((2, 3), np.float32)
        buffer.host[:] = np.arange(6).reshape(2, 3)
        cuda.upload(buffer)
        buffer.host[:] = 0
        cuda.download(buffer)
        cuda.synchronize()
        assert buffer.host.tolist() == [[0, 1, 2], [3, 4, 5]]

    return check
