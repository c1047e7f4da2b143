"""Derives a reference checkpoint's configuration: given where shapes do not show it, read off the shapes elsewhere."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from space_clip_ros import settings
from space_clip_ros.errors import ModelError
from space_clip_ros.model.reference_names import REFERENCE_TOWER
from space_clip_ros.model.towers import with_tower
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig

SIGLIP_ENCODER = {"kind": "siglip", "activation": "gelu_tanh", "layer_norm_eps": 1e-6}
"""Encoder settings in which SigLIP ViT-B/16, as Hugging Face runs it, differs from CLIP's."""
SIGLIP_NORMALISATION = (0.5, 0.5, 0.5)
"""SigLIP's mean and standard deviation of RGB in [0, 1]."""

_PROJECTION = re.compile(r"(main|structural)_path_projections\.(\d+)\.weight")
_STATES = {"main": (12, 9, 6, 3), "structural": (2, 1, 0)}
"""The states that the reference implementation reads unless its settings name others, whatever the tower's depth."""
_STATES_NAMES = {"main": "semantic_states", "structural": "structural_states"}
_REFERENCE_SETTINGS = {
    "main_path_indices": "semantic_states",
    "structural_path_indices": "structural_states",
    "decoder_channels": "channels",
    "decoder_dropout": "dropout",
    "film_param_hidden_dim": "film_hidden",
    "use_multiscale_supervision": "auxiliary_heads",
    "clip_interpolate_pos_encoding": "",  # positions are interpolated wherever the size needs it
}
"""The reference implementation's names of decoder settings, and ours."""
_FILM = "film_param_generators."
_FILM_HIDDEN = "film_param_generators.0.0.weight"
_AUXILIARY = "aux_depth_heads."


def reference_config(
    path: Path, tensors: Mapping[str, Tensor], encoder: Mapping[str, Any], decoder: Mapping[str, Any]
) -> ModelConfig:
    """Return the configuration of a reference checkpoint.

    Args:
        path: the file, for errors and for the model's name.
        tensors: its state dictionary.
        encoder: encoder settings, or ``tower``, open_clip's name of a model that has them; those left out default to
            ViT-B/16 of the family that the tensors' names belong to.
        decoder: decoder settings that shapes cannot tell, such as ``semantic_states`` and ``structural_states``, by our
            names or the reference implementation's; those left out default to the reference implementation's.

    Raises:
        ModelError: the settings are invalid or disagree with the tensors, or tensors that the decoder's settings are
            read from are missing.
    """
    kind = "siglip" if f"{REFERENCE_TOWER}head.probe" in tensors else "clip"
    named = with_tower({"encoder": {"tower": encoder.get("tower", "")}}).get("encoder", {})
    given = {name: value for name, value in encoder.items() if name != "tower"}
    values = {**named, **(SIGLIP_ENCODER if kind == "siglip" else {}), **given}
    if problems := settings.find_problems(EncoderConfig, values):
        raise ModelError(path, "; ".join(f"encoder: {problem}" for problem in problems))
    parsed = settings.parse(EncoderConfig, values)
    if parsed.kind != kind:
        raise ModelError(path, f"encoder.kind is {parsed.kind!r}, but its {REFERENCE_TOWER}* names are {kind}'s")
    _check_encoder(path, tensors, parsed)
    config = ModelConfig(
        name=path.stem,
        encoder=parsed,
        decoder=_decoder_config(path, tensors, decoder, parsed.layers),
        input_size=(parsed.image_size, parsed.image_size),
    )
    if problems := list(config.problems()):
        raise ModelError(path, "; ".join(problems))
    return (
        dataclasses.replace(config, mean=SIGLIP_NORMALISATION, std=SIGLIP_NORMALISATION) if kind == "siglip" else config
    )


def _decoder_config(path: Path, tensors: Mapping[str, Tensor], given: Mapping[str, Any], layers: int) -> DecoderConfig:
    channels = _channels(tensors, "main")
    structural = _channels(tensors, "structural")
    use_film = any(name.startswith(_FILM) for name in tensors)
    if not channels or (use_film and _FILM_HIDDEN not in tensors):
        wanted = "main_path_projections.0.weight" if not channels else _FILM_HIDDEN
        raise ModelError(path, f"is not a SPACE-CLIP checkpoint, or not a whole one; missing: {wanted}")
    told: dict[str, Any] = {
        "channels": channels,
        "use_film": use_film,
        "use_structural_pathway": bool(structural),
        "auxiliary_heads": any(name.startswith(_AUXILIARY) for name in tensors),
    }
    if use_film:
        told["film_hidden"] = tensors[_FILM_HIDDEN].shape[0]
    values = {**told, **_own_names(given, bool(structural))}
    if problems := settings.find_problems(DecoderConfig, values):
        raise ModelError(path, "; ".join(f"decoder: {problem}" for problem in problems))
    config = settings.parse(DecoderConfig, values)
    differing = [name for name in told if getattr(config, name) != told[name]]
    if differing:
        said = "; ".join(
            f"decoder.{name} is {getattr(config, name)!r}, its tensors say {told[name]!r}" for name in differing
        )
        raise ModelError(path, said)
    return _with_states(path, config, {"main": len(channels), "structural": len(structural)}, layers)


def _own_names(given: Mapping[str, Any], structural: bool) -> dict[str, Any]:
    """Return decoder settings by our names, without those that do not concern this decoder."""
    known = {**_REFERENCE_SETTINGS, **({} if structural else {"structural_path_indices": ""})}
    named = ((known.get(name, name), value) for name, value in given.items())
    return {name: value for name, value in named if name}


def _channels(tensors: Mapping[str, Tensor], pathway: str) -> tuple[int, ...]:
    """Return the channels of a pathway's projections, in order."""
    found = {}
    for name, tensor in tensors.items():
        match = _PROJECTION.fullmatch(name)
        if match and match[1] == pathway:
            found[int(match[2])] = tensor.shape[0]
    return tuple(found[index] for index in sorted(found))


def _with_states(path: Path, config: DecoderConfig, counts: Mapping[str, int], layers: int) -> DecoderConfig:
    """Name the states that the file was made with, wherever they are not those that an empty setting stands for."""
    states: dict[str, Any] = {}
    for pathway, count in counts.items():
        name = _STATES_NAMES[pathway]
        read = getattr(config, name) or _STATES[pathway] * bool(count)
        if len(read) != count:
            raise ModelError(
                path,
                f"has {count} {pathway} path projections, and decoder.{name} {list(read)} does not say what they read",
                f"give decoder={{{name!r}: [...]}} as it was made with, its {pathway}_path_indices",
            )
        states[name] = read
    bare = dataclasses.replace(config, semantic_states=(), structural_states=())
    if bare.states(layers) == tuple(states.values()):
        return bare
    return dataclasses.replace(config, **states)


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
