"""A small random model as a checkpoint and as exported files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.export.onnx import export
from space_clip_ros.model import SpaceClip, build, save_checkpoint


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds any.onnx, one.onnx (any size, one image a run), fixed.onnx (100 x 60 pixels), pair.onnx (two of
    them at once), checkpoint.safetensors."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        encoder=EncoderConfig(width=32, heads=2, image_size=32),
        decoder=DecoderConfig(channels=(8, 8, 8, 8), film_hidden=8),
        input_size=(32, 64),
        max_depth=60.0,
        training_camera=(1242.0, 375.0, 721.5, 722.5),
    )
    folder = tmp_path_factory.mktemp("models")
    model = _varied(build(config))
    save_checkpoint(model, folder / "checkpoint.safetensors")
    export(model, folder / "any.onnx")
    export(model, folder / "one.onnx", batch=1)
    export(model, folder / "fixed.onnx", 60, 100)
    export(model, folder / "pair.onnx", 60, 100, batch=2)
    return folder


def _varied(model: SpaceClip) -> SpaceClip:
    with torch.no_grad():
        model.depth_head.depth.weight.mul_(100.0)
        model.depth_head.depth.bias.fill_(10.0)
    return model
