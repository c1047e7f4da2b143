"""Settings of vision towers by open_clip's names, read from open_clip's and timm's own definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import open_clip
import timm
import torch
from open_clip.constants import INCEPTION_MEAN, INCEPTION_STD, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from space_clip_ros.errors import ModelError

_HEAD_WIDTH = 64
"""Channels of an attention head in open_clip's towers that do not say otherwise."""
_UNDERSTOOD = {"image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size"}
_OF_TIMM = {"image_size", "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj"}


def tower_settings(name: str, tag: str = "") -> dict[str, Any]:
    """Return the settings of :class:`~space_clip_ros.model_config.ModelConfig` that make it one of open_clip's models.

    Args:
        name: open_clip's name of the model, for example ``ViT-L-14-336-quickgelu`` or ``ViT-SO400M-16-SigLIP2-384``.
        tag: of its weights, for example ``openai``: some were trained with another activation or normalisation than
            the model's name says.

    Returns:
        ``encoder`` (kind, width, layers, heads, mlp_ratio, patch_size, image_size, activation, layer_norm_eps),
        ``input_size`` (height and width that the weights were trained for, pixels), ``mean`` and ``std``.

    Raises:
        ModelError: open_clip has no such model, or its tower is neither a plain CLIP ViT nor a SigLIP one.
    """
    model = open_clip.get_model_config(name)
    if model is None:
        raise ModelError(name, "open_clip has no such model", "'open_clip.list_models()' lists those it has")
    vision = model["vision_cfg"]
    details: Mapping[str, Any] = open_clip.get_pretrained_cfg(name, tag) or {} if tag else {}
    if "timm_model_name" in vision:
        encoder = _siglip(name, vision)
        mean, std = INCEPTION_MEAN, INCEPTION_STD
    else:
        quick = bool(details.get("quick_gelu") or model.get("quick_gelu"))
        encoder = _clip(name, vision, "quick_gelu" if quick else "gelu")
        mean, std = OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    return {
        "encoder": encoder,
        "input_size": [encoder["image_size"]] * 2,
        "mean": list(details.get("mean", mean)),
        "std": list(details.get("std", std)),
    }


def with_tower(model: Mapping[str, Any], tag: str = "") -> dict[str, Any]:
    """Return a model's settings with ``encoder.tower`` replaced by what it stands for; given settings stay.

    Args:
        model: nested settings of :class:`~space_clip_ros.model_config.ModelConfig` as YAML has them.
        tag: see :func:`tower_settings`.

    Raises:
        ModelError: there is no such tower.
    """
    encoder = dict(model.get("encoder") or {})
    name = encoder.pop("tower", "")
    if not name:
        return dict(model)
    named = tower_settings(str(name), tag)
    return {**named, **model, "encoder": {**named["encoder"], **encoder}}


def _clip(name: str, vision: Mapping[str, Any], activation: str) -> dict[str, Any]:
    _refuse_more_than(_UNDERSTOOD, name, vision)
    width, head_width = vision["width"], vision.get("head_width", _HEAD_WIDTH)
    return {
        "kind": "clip",
        "width": width,
        "layers": vision["layers"],
        "heads": width // head_width,
        "mlp_ratio": float(vision.get("mlp_ratio", 4.0)),
        "patch_size": vision["patch_size"],
        "image_size": _whole_patches(vision["image_size"], vision["patch_size"]),
        "activation": activation,
        "layer_norm_eps": nn.LayerNorm(1).eps,
    }


def _siglip(name: str, vision: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_more_than(_OF_TIMM, name, vision)
    with torch.device("meta"):
        tower = timm.create_model(vision["timm_model_name"], pretrained=False, num_classes=0)
    if not isinstance(tower, VisionTransformer) or vision.get("timm_pool") != "map" or tower.cls_token is not None:
        raise ModelError(name, f"its tower {vision['timm_model_name']} is not a SigLIP ViT", "choose another")
    block: Any = tower.blocks[0]
    width, hidden = tower.embed_dim, block.mlp.fc1.out_features
    patch = int(tower.patch_embed.patch_size[0])
    return {
        "kind": "siglip",
        "width": width,
        "layers": len(tower.blocks),
        "heads": block.attn.num_heads,
        "mlp_ratio": _ratio(hidden, width),
        "patch_size": patch,
        "image_size": _whole_patches(vision["image_size"], patch),
        "activation": "gelu_tanh" if _is_tanh(block.mlp.act) else "gelu",
        "layer_norm_eps": block.norm1.eps,
    }


def _refuse_more_than(understood: set[str], name: str, vision: Mapping[str, Any]) -> None:
    if not isinstance(vision.get("layers", 0), int):
        raise ModelError(name, "its tower is a ResNet, not a ViT", "choose another")
    if more := sorted(vision.keys() - understood):
        raise ModelError(
            name, f"its tower has {', '.join(more)}, which this package does not support", "choose another"
        )


def _whole_patches(size: int, patch: int) -> int:
    """Return the pixels that a strided convolution sees of an image: open_clip's 384 of patch 14 are 378."""
    return size // patch * patch


def _ratio(hidden: int, width: int) -> float:
    """Return the MLP ratio: times the width, rounded down, it gives the hidden width."""
    ratio = hidden / width
    return ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)


def _is_tanh(activation: nn.Module) -> bool:
    values = torch.linspace(-4.0, 4.0, 33)
    return torch.equal(activation(values), nn.functional.gelu(values, approximate="tanh"))
