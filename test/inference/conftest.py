"""A small random model as a checkpoint and as exported files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros.export.onnx import export
from space_clip_ros.model import SpaceClip, save_checkpoint


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., SpaceClip]) -> Path:
    """Holds any.onnx, one.onnx (any size, one image a run), fixed.onnx (100 x 60 pixels), pair.onnx (two of
    them at once), checkpoint.safetensors."""
    model = tiny_model(max_depth=60.0, training_camera=(1242.0, 375.0, 721.5, 722.5))
    folder = tmp_path_factory.mktemp("models")
    save_checkpoint(model, folder / "checkpoint.safetensors")
    export(model, folder / "any.onnx")
    export(model, folder / "one.onnx", batch=1)
    export(model, folder / "fixed.onnx", 60, 100)
    export(model, folder / "pair.onnx", 60, 100, batch=2)
    return folder
