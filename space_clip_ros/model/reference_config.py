"""Derives a reference checkpoint's configuration: the encoder's is given, the rest follows from tensor shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from space_clip_ros import settings
from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.errors import ModelError
from space_clip_ros.model.reference_names import REFERENCE_TOWER

SIGLIP_ENCODER = {"kind": "siglip", "activation": "gelu_tanh", "layer_norm_eps": 1e-6}
"""Encoder settings in which SigLIP ViT-B/16 differs from CLIP's."""
SIGLIP_NORMALISATION = (0.5, 0.5, 0.5)
"""SigLIP's mean and standard deviation of RGB in [0, 1]."""

_PROJECTIONS = tuple(f"main_path_projections.{index}.weight" for index in range(4))
_FILM_HIDDEN = "film_param_generators.0.0.weight"
_AUXILIARY = "aux_depth_heads."


def reference_config(path: Path, tensors: Mapping[str, Tensor], encoder: Mapping[str, Any]) -> ModelConfig:
    """Return the configuration of a reference checkpoint.

    Args:
        path: the file, for errors and for the model's name.
        tensors: its state dictionary.
        encoder: encoder settings; those left out default to ViT-B/16 of the family that the tensors' names belong to.

    Raises:
        ModelError: the settings are invalid or disagree with the tensors, or tensors that the decoder's settings are
            read from are missing.
    """
    kind = "siglip" if f"{REFERENCE_TOWER}head.probe" in tensors else "clip"
    values = {**(SIGLIP_ENCODER if kind == "siglip" else {}), **encoder}
    if problems := settings.find_problems(EncoderConfig, values):
        raise ModelError(path, "; ".join(f"encoder: {problem}" for problem in problems))
    parsed = settings.parse(EncoderConfig, values)
    if parsed.kind != kind:
        raise ModelError(path, f"encoder.kind is {parsed.kind!r}, but its {REFERENCE_TOWER}* names are {kind}'s")
    _check_encoder(path, tensors, parsed)
    config = ModelConfig(
        name=path.stem,
        encoder=parsed,
        decoder=_decoder_config(path, tensors),
        input_size=(parsed.image_size, parsed.image_size),
    )
    return (
        dataclasses.replace(config, mean=SIGLIP_NORMALISATION, std=SIGLIP_NORMALISATION) if kind == "siglip" else config
    )


def _decoder_config(path: Path, tensors: Mapping[str, Tensor]) -> DecoderConfig:
    missing = [name for name in (*_PROJECTIONS, _FILM_HIDDEN) if name not in tensors]
    if missing:
        raise ModelError(path, f"is not a SPACE-CLIP checkpoint, or not a whole one; missing: {', '.join(missing)}")
    first, second, third, fourth = (tensors[name].shape[0] for name in _PROJECTIONS)
    return DecoderConfig(
        channels=(first, second, third, fourth),
        film_hidden=tensors[_FILM_HIDDEN].shape[0],
        auxiliary_heads=any(name.startswith(_AUXILIARY) for name in tensors),
    )


def _check_encoder(path: Path, tensors: Mapping[str, Tensor], config: EncoderConfig) -> None:
    """Refuse encoder settings that disagree with the tensors, in the settings' terms, before tensors are matched."""
    patches = (config.image_size // config.patch_size) ** 2 + (config.kind == "clip")
    hidden = int(config.width * config.mlp_ratio)
    expected = {
        "embeddings.patch_embedding.weight": (config.width, 3, config.patch_size, config.patch_size),
        "embeddings.position_embedding.weight": (patches, config.width),
        "encoder.layers.0.mlp.fc1.weight": (hidden, config.width),
    }
    problems = [
        f"{REFERENCE_TOWER}{name} is {list(tensors[REFERENCE_TOWER + name].shape)}, must be {list(shape)}"
        for name, shape in expected.items()
        if REFERENCE_TOWER + name in tensors and tuple(tensors[REFERENCE_TOWER + name].shape) != shape
    ]
    if problems:
        raise ModelError(
            path,
            f"the encoder settings (width {config.width}, mlp_ratio {config.mlp_ratio:g}, patch_size "
            f"{config.patch_size}, image_size {config.image_size}) disagree with its tensors: {'; '.join(problems)}",
            "give the settings it was made with as encoder",
        )
