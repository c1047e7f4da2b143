"""Counts the operations and weights of a network, which ``space_clip benchmark`` compares run times with.

The counts are stored in every exported file.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from space_clip_ros.inference.metadata import DECODER, ENCODER, StageCost
from space_clip_ros.model import SpaceClip
from space_clip_ros.model_config import AdapterConfig, ModelConfig

_NORMS = (nn.LayerNorm, nn.BatchNorm2d)


def network_cost(config: ModelConfig) -> dict[str, StageCost]:
    """Count one image's operations, and the weights, of the encoder and of the decoder with its heads.

    The model is the method's own, whatever an export makes cheaper: adapters merged, no auxiliary heads. Norms,
    activations and gates are left out; they are under one percent. Nothing is computed, only shapes are followed.
    """
    config = replace(config, encoder=replace(config.encoder, adapters=AdapterConfig()))
    with torch.device("meta"):
        model = SpaceClip(config).eval()
        image = torch.empty(1, 3, *config.input_size)
    # The counter does not know every fused attention; written out as matrix products it is counted on any PyTorch.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.encoder(image)
        encoder = counter.get_total_flops()
        model(image, auxiliary=False)
        decoder = counter.get_total_flops() - 2 * encoder
    heads = [head for name, head in model.named_children() if name.endswith("_head")]
    return {
        ENCODER: StageCost(encoder, _weights(model.encoder)),
        DECODER: StageCost(decoder, _weights(model.decoder) + sum(map(_weights, heads))),
    }


def _weights(module: nn.Module) -> int:
    layers = (layer for layer in module.modules() if not isinstance(layer, _NORMS))
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters(recurse=False))
