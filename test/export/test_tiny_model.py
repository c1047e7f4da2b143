"""The model file that tests of everything else share, which need no PyTorch to have one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from space_clip_ros.export.onnx import export
from space_clip_ros.inference import load_predictor
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig


def tiny_random() -> SpaceClip:
    torch.manual_seed(7)
    encoder = EncoderConfig(width=24, heads=2, patch_size=16, image_size=64)
    config = ModelConfig(
        name="tiny_random",
        encoder=encoder,
        decoder=DecoderConfig(channels=(16, 12, 8, 8), film_hidden=8),
        input_size=(64, 64),
        training_camera=(640.0, 480.0, 500.0, 500.0),
    )
    model = build(config).eval()
    with torch.no_grad():
        # Random weights may end below zero, where the last ReLU would make all depth invalid.
        model.depth_head.depth.bias.fill_(5.0)
    return model


def test_it_is_what_is_exported_today(tiny_model_file: Path, tmp_path: Path) -> None:
    """If not: copy the file that this test exports to ``test/tiny_random.onnx``."""
    export(tiny_random(), tmp_path / "tiny_random.onnx")
    kept = load_predictor(tiny_model_file, threads=1)
    fresh = load_predictor(tmp_path / "tiny_random.onnx", threads=1)
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    np.testing.assert_allclose(kept(picture), fresh(picture), rtol=1e-4)
    assert kept.info.name == fresh.info.name
    assert kept.info.training_camera == fresh.info.training_camera
