"""A small model with random weights whose depth varies over the picture."""

from __future__ import annotations

import pytest
import torch

from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.model import SpaceClip, build


@pytest.fixture(scope="session")
def model() -> SpaceClip:
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        encoder=EncoderConfig(width=32, heads=2, image_size=32),
        decoder=DecoderConfig(channels=(8, 8, 8, 8), film_hidden=8),
        input_size=(32, 64),
        training_camera=(1242.0, 375.0, 721.5, 721.5),
    )
    model = build(config)
    with torch.no_grad():
        model.depth_head.depth.weight.mul_(100.0)
        model.depth_head.depth.bias.fill_(10.0)
    return model
