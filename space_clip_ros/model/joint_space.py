"""Gives a depth model the language features of the CLIP that its frozen tower is, or takes some of them away."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from space_clip_ros.errors import InputError, ModelError
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.joint_features import is_joint, tower_hash
from space_clip_ros.model.pretrained import fill_encoder, projection_length, read_weights
from space_clip_ros.model.space_clip import SpaceClip
from space_clip_ros.model_config import LANGUAGE_OUTPUTS, LanguageConfig, ModelConfig

_ROUNDING = 1e-3
"""Largest difference of a weight, over the tensor's largest: checkpoints may be stored in half precision."""


def with_joint_space(model: SpaceClip, clip: str | Path) -> SpaceClip:
    """Return a model that shares the weights of ``model`` and has CLIP's projection, so language features, too.

    Args:
        model: its tower is the frozen one of ``clip``.
        clip: a name or a file, as :func:`space_clip_ros.model.pretrained.load_pretrained` takes it.

    Raises:
        InputError: its tower is trained, adapted or not CLIP's, so its features share no space with text; or the
            model has a closed list of names.
        ModelError: the weights cannot be read, have no projection, or are of another tower.
    """
    if model.config.language.vocabulary:
        raise InputError(f"model {model.config.name}", "has a closed list of names", "take a model without one")
    config = model.config.encoder
    path, tensors = read_weights(clip, config)
    length = projection_length(path, tensors)
    language = replace(model.config.language, outputs=LANGUAGE_OUTPUTS, embed_dim=length)
    joint = replace(model.config, language=language)
    check_joint(joint)
    encoder = Encoder(config, language)
    fill_encoder(encoder, path, tensors)
    ours, theirs = model.encoder.frozen_state(), encoder.frozen_state()
    for name, tensor in theirs.items():
        if (ours[name].cpu() - tensor).abs().max() > _ROUNDING * tensor.abs().max():
            raise ModelError(path, f"is not the CLIP whose tower the model has: {name} differs", "give that one")
    device = next(model.parameters()).device
    result = copy.copy(model)
    result._modules = dict(model._modules)
    result.encoder = copy.copy(model.encoder)
    result.encoder._modules = dict(model.encoder._modules)
    result.encoder.language = language
    result.encoder.projection = encoder.to(device).projection
    result.config = replace(joint, language=replace(language, tower=tower_hash(encoder)))
    return result


def check_joint(config: ModelConfig) -> None:
    """Reject a model whose tower's features are no longer CLIP's.

    Raises:
        InputError: they are not, with the reason.
    """
    for problem in config.problems():
        if problem.startswith("language."):
            raise InputError(f"model {config.name}", problem)


@torch.no_grad()
def with_outputs(model: SpaceClip, outputs: Sequence[str] | None) -> SpaceClip:
    """Return the model with only some of its outputs, in place.

    Args:
        model: to change.
        outputs: some of ``depth``, ``embedding`` and ``dense``; None leaves the model as it is. Depth stays anyway.

    Raises:
        InputError: the model does not have one of them.
    """
    if outputs is None:
        return model
    language = model.config.language
    missing = [name for name in outputs if name in LANGUAGE_OUTPUTS and name not in language.outputs]
    if missing:
        raise InputError(
            f"model {model.config.name}",
            f"has no {' and no '.join(missing)}",
            "give CLIP's weights with --clip, or take a model with language features",
        )
    kept = tuple(name for name in LANGUAGE_OUTPUTS if name in outputs)
    language = replace(language, outputs=kept) if kept else LanguageConfig()
    model.config = replace(model.config, language=language)
    if is_joint(language):
        model.encoder.language = language
    else:
        model.encoder.projection = None
    if not kept:
        model.language_head = None
    return model
