"""Low-rank adapters of a frozen tower's projections (Hu et al., LoRA, ICLR 2022, arXiv:2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.model_config import AdapterConfig, EncoderConfig

_NAME = "adapter"
_PACKED = ("query", "key", "value")


class Adapter(nn.Module):
    """The term added to a frozen projection: ``alpha / rank * up(down(x))`` for each adapted part of its outputs.

    ``up`` begins at zero, so a new adapter changes nothing.
    """

    def __init__(self, inputs: int, parts: Sequence[tuple[str, int]], config: AdapterConfig) -> None:
        """Create the matrices.

        Args:
            inputs: width of the projection's inputs.
            parts: name and width of each part of the projection's outputs, in order.
            config: rank, scale, and names of the adapted parts.
        """
        super().__init__()
        self.inputs = inputs
        self.parts = tuple(parts)
        self.scale = config.alpha / config.rank
        adapted = [(name, width) for name, width in parts if name in config.targets]
        self.down = nn.ParameterDict({name: nn.Parameter(torch.empty(config.rank, inputs)) for name, _ in adapted})
        self.up = nn.ParameterDict({name: nn.Parameter(torch.zeros(width, config.rank)) for name, width in adapted})
        for matrix in self.down.values():
            nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))

    def forward(self, features: Tensor) -> Tensor:
        """Map (..., inputs) to the (..., outputs) to add; parts without an adapter get zeros."""
        return torch.cat([self._part(name, width, features) for name, width in self.parts], dim=-1)

    def weight(self) -> Tensor:
        """Return the adapter as one (outputs, inputs) matrix."""
        down = next(iter(self.down.values()))
        return self.forward(torch.eye(self.inputs, dtype=down.dtype, device=down.device)).T

    def _part(self, name: str, width: int, features: Tensor) -> Tensor:
        if name not in self.up:
            return features.new_zeros((*features.shape[:-1], width))
        return functional.linear(functional.linear(features, self.down[name]), self.up[name]) * self.scale


class AdaptedLinear(nn.Linear):
    """A linear layer plus an adapter; the layer's weight and bias keep their names."""

    def __init__(self, linear: nn.Linear, adapter: Adapter) -> None:
        """Share ``linear``'s weight and bias."""
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.adapter: Adapter | None = adapter

    def forward(self, features: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        projected = super().forward(features)
        return projected if self.adapter is None else projected + self.adapter(features)


def add_adapters(tower: Any, config: EncoderConfig) -> None:
    """Put adapters into every block of a tower, in place.

    This leaves the state of the random generator as it was, so the other weights of a new model are the same with and
    without adapters.
    """
    with torch.random.fork_rng(devices=[]):
        for block in tower.transformer.resblocks if config.kind == "clip" else tower.blocks:
            _adapt_block(block, config)


def packed_addition(attention: nn.Module, tokens: Tensor) -> Tensor | None:
    """Return what the adapter adds to an attention's packed query, key and value, (..., 3 * width); None without one.

    Args:
        attention: CLIP's attention module.
        tokens: (..., width).
    """
    adapter = getattr(attention, _NAME, None)
    return None if adapter is None else cast(Tensor, adapter(tokens))


def adapter_parameters(tower: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of all adapters, by their names in the tower."""
    return {name: value for name, value in tower.named_parameters() if f".{_NAME}." in name}


@torch.no_grad()
def merge_adapters(tower: nn.Module) -> None:
    """Add every adapter to the weight it adapts and remove it, in place: the same output at no extra cost."""
    for module in tower.modules():
        adapter = getattr(module, _NAME, None)
        if isinstance(adapter, Adapter):
            packed = isinstance(module, nn.MultiheadAttention)
            weight = cast(Tensor, module.in_proj_weight if packed else module.weight)
            weight.add_(adapter.weight())
            setattr(module, _NAME, None)


def _adapt_block(block: Any, config: EncoderConfig) -> None:
    width, settings = config.width, config.adapters
    packed = [(name, width) for name in _PACKED]
    clip = config.kind == "clip"
    if set(_PACKED) & set(settings.targets):
        if clip:
            block.attn.register_module(_NAME, Adapter(width, packed, settings))
        else:
            block.attn.qkv = AdaptedLinear(block.attn.qkv, Adapter(width, packed, settings))
    linears = (
        ("output", block.attn, "out_proj" if clip else "proj"),
        ("mlp_in", block.mlp, "c_fc" if clip else "fc1"),
        ("mlp_out", block.mlp, "c_proj" if clip else "fc2"),
    )
    for target, parent, name in linears:
        if target in settings.targets:
            linear = getattr(parent, name)
            adapter = Adapter(linear.in_features, [(target, linear.out_features)], settings)
            setattr(parent, name, AdaptedLinear(linear, adapter))
