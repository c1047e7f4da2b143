"""Runs a model's matrix products and convolutions in half precision, and the rest in float32.

Weights and the activations between products are in half precision, which GPUs compute and move faster. These stay in
float32, where half precision would cost accuracy: the tower's residual stream (the decoder reads every state again, and
the largest channels exceed half's precision), norms, FiLM (its gains multiply those states), SigLIP's pooling, the last
convolutions of the depth and uncertainty heads and everything after them (at 80 m, half precision resolves only 6 cm),
and the last product before language features. An image that shrinks is resized in half precision
(:mod:`space_clip_ros.model.resize`). Softmax, sigmoid and bilinear resampling store half precision and compute in
float32 inside PyTorch's kernels.
"""

from __future__ import annotations

import re
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from space_clip_ros.errors import InputError
from space_clip_ros.model.adapters import merge_adapters
from space_clip_ros.model.space_clip import SpaceClip

_FLOAT32_PRODUCTS = re.compile(
    r"(decoder\.film\.\d+|depth_head\.depth|uncertainty_head\.log_scale|encoder\.(tower\.)?attn_pool"
    r"|encoder\.projection(_\d+)?|language_head\.names|refinement_head\.correction)(\.|$)"
)
_QUICK_GELU = 1.702
_PRODUCTS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
_FOLDED = (("conv", "norm"), ("conv1", "norm1"), ("conv2", "norm2"))


@torch.no_grad()
def fold_norms(model: SpaceClip) -> None:
    """Fold every batch norm into the convolution before it, and adapters into their weights, in place.

    The output is the same up to rounding, with fewer passes over memory. Afterwards the model cannot be trained or
    saved.

    Raises:
        InputError: the model is in training mode.
    """
    if model.training:
        raise InputError("model", "batch norm folds only in evaluation mode", "call model.eval() first")
    merge_adapters(model.encoder.tower)
    for module in list(model.modules()):
        for conv, norm in _FOLDED:
            folded = getattr(module, norm, None)
            if isinstance(folded, nn.BatchNorm2d):
                setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), folded))
                setattr(module, norm, nn.Identity())


@torch.no_grad()
def fuse_quick_gelu(model: SpaceClip) -> None:
    """Replace QuickGELU by SiLU, which is one kernel instead of three, in place; nothing to do for other activations.

    x sigmoid(1.702 x) is silu(1.702 x) / 1.702, so the factor moves into the weights around it. The output is the same
    up to rounding.

    Args:
        model: after :func:`fold_norms`.
    """
    if model.config.encoder.kind != "clip" or model.config.encoder.activation != "quick_gelu":
        return
    tower: Any = model.encoder.tower
    for block in tower.transformer.resblocks:
        block.mlp.c_fc.weight.mul_(_QUICK_GELU)
        block.mlp.c_fc.bias.mul_(_QUICK_GELU)
        block.mlp.c_proj.weight.div_(_QUICK_GELU)
        block.mlp.gelu = nn.SiLU()


def keeps_float32(module: str) -> bool:
    """Return whether the products of a module stay in float32; all others are halved, here and in exported graphs.

    Other operations keep their inputs' type, or take float32 if the types differ, so the tower's residual sum stays
    float32.

    Args:
        module: its dotted name in :class:`~space_clip_ros.model.SpaceClip`, or one of a module inside it.
    """
    return _FLOAT32_PRODUCTS.match(module) is not None


@torch.no_grad()
def halve(model: SpaceClip, dtype: torch.dtype = torch.float16) -> None:
    """Convert a model to half precision in place; its inputs and outputs stay float32.

    Args:
        model: after :func:`fold_norms`.
        dtype: ``torch.float16``, or ``torch.bfloat16`` for its wider range.
    """
    tower: Any = model.encoder.tower
    for name, module in model.named_modules():
        if isinstance(module, _PRODUCTS):
            if not keeps_float32(name):
                module.to(dtype)
            module.register_forward_pre_hook(_cast_inputs)
    if model.decoder.film_bank is not None:
        model.decoder.film_bank.stored = dtype
    if model.config.encoder.kind == "clip":
        for block in tower.transformer.resblocks:
            _halve_packed(block.attn, dtype)
            # The packed projection is not a module, so its input is cast where it leaves the norm.
            block.ln_1.register_forward_hook(lambda module, inputs, output: output.to(dtype))


def _cast_inputs(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    dtype = cast(Tensor, module.weight).dtype
    return tuple(tensor.to(dtype) for tensor in inputs)


def _halve_packed(attention: nn.MultiheadAttention, dtype: torch.dtype) -> None:
    for name in ("in_proj_weight", "in_proj_bias"):
        setattr(attention, name, nn.Parameter(getattr(attention, name).to(dtype), requires_grad=False))
