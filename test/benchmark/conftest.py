"""A small random model: a checkpoint, a file for any image size and one for two images at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.export.onnx import export
from space_clip_ros.model import build, save_checkpoint


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds any.onnx, pair.onnx (two images of 100 x 60 pixels at once), tiny.safetensors."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        encoder=EncoderConfig(width=32, heads=2, image_size=32),
        decoder=DecoderConfig(channels=(8, 8, 8, 8), film_hidden=8),
        input_size=(32, 64),
    )
    model = build(config)
    with torch.no_grad():
        model.depth_head.depth.bias.fill_(10.0)
    folder = tmp_path_factory.mktemp("models")
    save_checkpoint(model, folder / "tiny.safetensors")
    export(model, folder / "any.onnx")
    export(model, folder / "pair.onnx", 60, 100, batch=2)
    return folder
