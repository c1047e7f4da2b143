"""The configuration of a reference checkpoint: given for the encoder, read off the tensors' shapes for the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from space_clip_ros import settings
from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.model.reference_names import REFERENCE_TOWER

SIGLIP_ENCODER = {"kind": "siglip", "activation": "gelu_tanh", "layer_norm_eps": 1e-6}
"""What SigLIP ViT-B/16 sets differently from CLIP's."""
SIGLIP_NORMALISATION = (0.5, 0.5, 0.5)
"""SigLIP's mean, and also its standard deviation, of RGB in [0, 1]."""

_PROJECTIONS = tuple(f"main_path_projections.{index}.weight" for index in range(4))
_FILM_HIDDEN = "film_param_generators.0.0.weight"
_AUXILIARY = "aux_depth_heads."


def reference_config(path: Path, tensors: Mapping[str, Tensor], encoder: Mapping[str, Any]) -> ModelConfig:
    """Return the configuration of a reference checkpoint.

    Args:
        path: the file, for errors and for the model's name.
        tensors: its state dictionary.
        encoder: encoder settings; those left out are ViT-B/16's of the family that the tensors' names tell.

    Raises:
        ModelError: the settings are not valid or disagree with the tensors, or the tensors that tell the decoder's
            settings are missing.
    """
    kind = "siglip" if f"{REFERENCE_TOWER}head.probe" in tensors else "clip"
    defaults = SIGLIP_ENCODER if kind == "siglip" else {}
    try:
        parsed = settings.parse(EncoderConfig, {**defaults, **encoder}, "encoder")
    except ConfigError as error:
        raise ModelError(f"{path}: {'; '.join(str(error).splitlines())}") from error
    if parsed.kind != kind:
        raise ModelError(f"{path}: encoder.kind is {parsed.kind!r}, but its {REFERENCE_TOWER}* names are {kind}'s")
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
        raise ModelError(f"{path}: is not a SPACE-CLIP checkpoint, or not a whole one; missing: {', '.join(missing)}")
    first, second, third, fourth = (tensors[name].shape[0] for name in _PROJECTIONS)
    return DecoderConfig(
        channels=(first, second, third, fourth),
        film_hidden=tensors[_FILM_HIDDEN].shape[0],
        auxiliary_heads=any(name.startswith(_AUXILIARY) for name in tensors),
    )


def _check_encoder(path: Path, tensors: Mapping[str, Tensor], config: EncoderConfig) -> None:
    """Say in the settings' own terms where they disagree, before single tensors are compared."""
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
            f"{path}: the encoder settings (width {config.width}, mlp_ratio {config.mlp_ratio:g}, patch_size "
            f"{config.patch_size}, image_size {config.image_size}) disagree with its tensors: {'; '.join(problems)}; "
            f"give the settings it was made with as encoder"
        )
