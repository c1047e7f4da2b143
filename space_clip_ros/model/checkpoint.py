"""Reads and writes checkpoints: our safetensors files with their configuration, and the reference implementation's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError, InputError, ModelError, listed
from space_clip_ros.model.matching import match_tensors
from space_clip_ros.model.reference_config import reference_config
from space_clip_ros.model.reference_names import REFERENCE_TOWER, TensorSource, reference_source
from space_clip_ros.model.space_clip import SpaceClip, build, name_tower
from space_clip_ros.model.tensor_files import (
    CONFIG_KEY,
    is_safetensors,
    read_safetensors,
    read_safetensors_metadata,
    read_torch,
    state_dictionary,
    write_safetensors,
)
from space_clip_ros.model_config import ModelConfig

FORMAT_VERSION = "1"
_VERSION_KEY = "space_clip.format_version"
_STATE_KEYS = {"model": ("model",), "ema": ("ema", "model_ema")}
WEIGHTS = tuple(_STATE_KEYS)


@torch.no_grad()
def round_to_half(model: SpaceClip) -> None:
    """Round the weights of products and convolutions to numbers that half precision holds, in place.

    :func:`save_checkpoint` with ``half`` then stores them in half the space without a further change.

    Raises:
        ModelError: a weight is beyond half precision's range.
    """
    for name, tensor in model.state_dict().items():
        if _stored_in_half(tensor):
            rounded = tensor.half()
            if not torch.isfinite(rounded).all():
                raise ModelError(name, "has weights beyond half precision's range", "store the checkpoint in float32")
            tensor.copy_(rounded)


def _stored_in_half(tensor: Tensor) -> bool:
    """Return whether a tensor is a weight of a product or convolution; norms and biases are small and stay as is."""
    return tensor.is_floating_point() and tensor.ndim > 1


def save_checkpoint(
    model: SpaceClip, path: str | Path, metadata: Mapping[str, str] | None = None, half: bool = False
) -> None:
    """Write a model and its configuration to one safetensors file; the file appears complete or not at all.

    Args:
        model: on any device; every parameter and buffer is written.
        path: the file; its folder must exist.
        metadata: further text to keep in the file's header, for example where the weights come from.
        half: store the weights of products and convolutions in half precision; :func:`load_checkpoint` reads them as
            float32. Call :func:`round_to_half` first if the file must equal the model.

    Raises:
        ModelError: the file cannot be written, or ``metadata`` uses a name that the format reserves.
    """
    if not model.config.language.tower:
        name_tower(model)
    own = {_VERSION_KEY: FORMAT_VERSION, CONFIG_KEY: json.dumps(settings.to_dict(model.config))}
    taken = sorted(own.keys() & (metadata or {}).keys())
    if taken:
        raise ModelError(path, f"metadata names {', '.join(taken)} are the format's own", "choose others")
    tensors = {
        name: (tensor.half() if half and _stored_in_half(tensor) else tensor).detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    write_safetensors(Path(path), tensors, {**(metadata or {}), **own})


def load_checkpoint(
    path: str | Path,
    encoder: Mapping[str, Any] | None = None,
    decoder: Mapping[str, Any] | None = None,
    *,
    weights: str = "model",
) -> SpaceClip:
    """Read a model from our file or from the reference implementation's.

    No code in the file is executed. The file must hold exactly the tensors that the configuration asks for.

    Args:
        path: a safetensors file by :func:`save_checkpoint`, or the reference's ``.pt``: ``{"model": state_dict, ...}``
            or a bare state dictionary, with or without the ``module.`` prefix of distributed training.
        encoder: settings of :class:`~space_clip_ros.model_config.EncoderConfig` for files that do not carry them.
            Settings left out default to ViT-B/16 of CLIP or SigLIP, whichever the tensors' names belong to; ``tower``
            takes those of one of open_clip's models instead. Our own files carry their settings, and those given must
            agree.
        decoder: settings of :class:`~space_clip_ros.model_config.DecoderConfig` that a reference file's shapes cannot
            tell: ``semantic_states`` and ``structural_states``, its ``main_path_indices`` and
            ``structural_path_indices``, if they were not the reference's own; its names are taken too. FiLM and the
            structural pathway are recognised by their tensors.
        weights: ``model``, or ``ema`` for the averaged weights that a reference file may hold as ``ema`` or
            ``model_ema``.

    Returns:
        The model on the CPU, in evaluation mode.

    Raises:
        InputError: ``weights`` is neither.
        ModelError: the file is missing, damaged, not a checkpoint, holds pickled objects, lacks its configuration, or
            does not agree with ``encoder`` or ``decoder``; the error names tensors that are missing, unexpected or
            misshapen.
    """
    path = Path(path)
    if weights not in WEIGHTS:
        raise InputError("weights", f"must be one of {', '.join(WEIGHTS)}, got {weights!r}")
    if is_safetensors(path):
        if weights != "model":
            raise ModelError(path, "holds one set of weights", "leave weights at 'model'")
        return _load_ours(path, {"encoder": encoder or {}, "decoder": decoder or {}})
    return _load_reference(path, encoder or {}, decoder or {}, weights)


def verify_checkpoint(model: SpaceClip, path: str | Path) -> int:
    """Read a checkpoint back and compare it with the model it was written from: every tensor, and one output.

    Args:
        model: on the CPU, in evaluation mode.
        path: the file that :func:`save_checkpoint` wrote.

    Returns:
        The number of tensors compared.

    Raises:
        ModelError: the file cannot be read, or something in it differs.
    """
    loaded = load_checkpoint(path)
    ours, theirs = model.state_dict(), loaded.state_dict()
    differing = [name for name in ours if name not in theirs or not torch.equal(ours[name], theirs[name])]
    if differing or len(ours) != len(theirs):
        raise ModelError(path, f"tensors differ from those written: {listed(differing)}", "the disk may be failing")
    height, width = model.config.input_size
    image = torch.linspace(-2.0, 2.0, 3 * height * width).reshape(1, 3, height, width)
    with torch.inference_mode():
        if not torch.equal(model(image).depth, loaded(image).depth):
            raise ModelError(path, "its depth differs from the written model's, though its tensors do not")
    return len(ours)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata in the header of one of our checkpoints, including the format's own entries.

    Raises:
        ModelError: the file is missing, damaged or not one of ours.
    """
    path = Path(path)
    if not is_safetensors(path):
        raise ModelError(path, "is not a safetensors file", "'space_clip convert' makes one of a reference checkpoint")
    metadata = read_safetensors_metadata(path)
    if CONFIG_KEY not in metadata:
        raise ModelError(path, f"carries no {CONFIG_KEY}, so it is not a checkpoint of this package")
    version = metadata.get(_VERSION_KEY)
    if version != FORMAT_VERSION:
        raise ModelError(path, f"has format version {version}, this package reads {FORMAT_VERSION}", "update it")
    return metadata


def _load_ours(path: Path, given: Mapping[str, Mapping[str, Any]]) -> SpaceClip:
    metadata = read_metadata(path)
    try:
        config = settings.parse(ModelConfig, json.loads(metadata[CONFIG_KEY]), f"{path}: {CONFIG_KEY}")
    except (json.JSONDecodeError, ConfigError) as error:
        raise ModelError(path, f"its configuration cannot be used: {error}") from error
    own = settings.to_dict(config)
    own["decoder"].update(zip(("semantic_states", "structural_states"), map(list, config.states), strict=True))
    for part, values in given.items():
        differing = [
            f"{key} is {own[part].get(key)!r}, not {value!r}"
            for key, value in settings.plain(values).items()
            if own[part].get(key) != value
        ]
        if differing:
            raise ModelError(
                path, f"carries its {part} settings, and they disagree with those given: {', '.join(differing)}"
            )
    model = build(config)
    wanted = model.state_dict()
    sources = {name: TensorSource((name,)) for name in wanted}
    model.load_state_dict(match_tensors(path, read_safetensors(path), wanted, sources))
    return model


def _load_reference(path: Path, encoder: Mapping[str, Any], decoder: Mapping[str, Any], weights: str) -> SpaceClip:
    tensors = _reference_tensors(path, read_torch(path), weights)
    config = reference_config(path, tensors, encoder, decoder)
    model = build(config)
    wanted = model.state_dict()
    sources = {name: reference_source(name, config.encoder.kind) for name in wanted}
    model.load_state_dict(match_tensors(path, tensors, wanted, sources))
    return model


def _reference_tensors(path: Path, content: Any, weights: str) -> dict[str, Tensor]:
    state = state_dictionary(path, content, _STATE_KEYS[weights], bare=weights == "model")
    return {
        # Older versions of transformers nest the tower one level deeper and save an index buffer without weights.
        name.replace(f"{REFERENCE_TOWER}vision_model.", REFERENCE_TOWER, 1): tensor
        for name, tensor in state.items()
        if not name.endswith("embeddings.position_ids")
    }
