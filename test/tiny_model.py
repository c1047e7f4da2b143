"""A small model with random weights."""

from __future__ import annotations

from typing import Any

import torch

from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig


def tiny_model(
    name: str = "tiny", width: int = 32, channels: tuple[int, ...] = (8, 8, 8, 8), **facts: Any
) -> SpaceClip:
    """Return a model whose depth is about ten metres and varies over the picture.

    Args:
        name: the model's.
        width: of its encoder, a multiple of 2.
        channels: of its decoder's blocks.
        facts: more of :class:`~space_clip_ros.model_config.ModelConfig`.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = ModelConfig(
        name=name,
        encoder=EncoderConfig(width=width, heads=2, image_size=32),
        decoder=DecoderConfig(channels=channels, film_hidden=8),
        input_size=(32, 64),
        **facts,
    )
    model = build(config)
    with torch.no_grad():
        model.depth_head.depth.weight.mul_(100.0)
        model.depth_head.depth.bias.fill_(10.0)
    return model
