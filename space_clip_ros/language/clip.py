"""A whole CLIP on PyTorch: images and texts in one space, and queries made of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.errors import InputError, ModelError, listed
from space_clip_ros.language.clip_settings import NAMES, ClipSettings, clip_settings
from space_clip_ros.language.clip_text import TextTower, tokenized
from space_clip_ros.language.prompts import averaged, query_set
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.language.windows import window_starts
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.joint_features import JointFeatures, tower_hash
from space_clip_ros.model.pretrained import fill_encoder, read_weights
from space_clip_ros.model_config import IMAGENET, TEMPLATE_SETS

_TEXTS_AT_ONCE = 64
_NAME_ALONE = ("{}",)


class Clip(nn.Module):
    """CLIP's two towers; make one with :func:`load_clip`.

    Attributes:
        settings: of both towers.
    """

    def __init__(self, settings: ClipSettings) -> None:
        """Build both towers with random weights."""
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings.encoder, settings.language)
        self.text_tower = TextTower(settings)
        self.eval()

    @cached_property
    def tower(self) -> str:
        """Hash of the vision tower and its projection, which queries and models carry."""
        return tower_hash(self.encoder)

    @torch.inference_mode()
    def image(self, images: Tensor, window: int = 0, stride: int = 0) -> JointFeatures:
        """Return the images' features.

        Args:
            images: (B, 3, h, w) float RGB, normalised with CLIP's mean and standard deviation; h and w multiples of
                the patch size. Sizes other than CLIP's own interpolate the position embedding.
            window: side of the windows that are run one by one and averaged, pixels, a multiple of the patch size; 0
                for one pass.
            stride: step between windows, pixels, likewise.

        Returns:
            ``embedding`` (B, D) and ``dense`` (B, rows, columns, D), both of length 1.

        Raises:
            InputError: the images or the windows do not fit.
        """
        if not window:
            joint = self.encoder(images).joint
            return JointFeatures(joint.embedding, joint.dense)
        height, width = images.shape[2:]
        patch = self.settings.encoder.patch_size
        if any(size % patch for size in (height, width, window, stride)):
            raise InputError(
                "windows", f"height, width, window and stride must be multiples of the patch size, {patch} pixels"
            )
        length = self.settings.embed_dim
        embedding = images.new_zeros(len(images), length)
        dense = images.new_zeros(len(images), height // patch, width // patch, length)
        count = images.new_zeros(1, height // patch, width // patch, 1)
        for top in window_starts(height, window, stride):
            for left in window_starts(width, window, stride):
                seen = self.encoder(images[:, :, top : top + window, left : left + window]).joint
                rows, columns = (slice(start // patch, (start + window) // patch) for start in (top, left))
                embedding += seen.embedding
                dense[:, rows, columns] += seen.dense
                count[:, rows, columns] += 1.0
        return JointFeatures(functional.normalize(embedding, dim=-1), functional.normalize(dense / count, dim=-1))

    @torch.inference_mode()
    def text(self, texts: Sequence[str], templates: str | Sequence[str] = _NAME_ALONE) -> Tensor:
        """Return a vector for each text, (N, D) of length 1.

        Args:
            texts: names or sentences; those of more than 75 tokens are cut, as CLIP does.
            templates: sentences with ``{}`` for the text, whose vectors are averaged; ``imagenet`` for CLIP's 80,
                ``none`` for the text alone.

        Raises:
            InputError: a text is empty, ``texts`` is not a sequence, there is no such set of templates or none in it,
                or a template has no ``{}``.
        """
        return torch.from_numpy(averaged(self._encode, texts, template_sentences(templates)))

    def queries(
        self, names: Sequence[str], background: Sequence[str] = (), templates: str | Sequence[str] = IMAGENET
    ) -> QuerySet:
        """Return queries for models with this CLIP's tower.

        Args:
            names: what is looked for.
            background: what it must stand out from.
            templates: see :meth:`text`.

        Raises:
            InputError: as :meth:`text`, or two names are read as one.
        """
        return query_set(self._encode, names, background, template_sentences(templates), self.tower)

    @torch.inference_mode()
    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        device = next(self.parameters()).device
        tokens = tokenized(list(texts), self.settings.context_length).to(device)
        return np.concatenate([self.text_tower(part).cpu().numpy() for part in torch.split(tokens, _TEXTS_AT_ONCE)])


def load_clip(name_or_file: str | Path, settings: str | Path | Mapping[str, Any] | None = None) -> Clip:
    """Load a whole CLIP.

    Args:
        name_or_file: ``clip_vit_b16``, a name that open_clip knows (``MODEL/TAG``, or ``TAG`` alone for
            ``ViT-B-16-quickgelu``, such as ``openai``), a file of open_clip's state dictionary, or a folder with
            ``open_clip_config.json``.
        settings: for a file of another model than ViT-B-16-quickgelu: open_clip's JSON file, or what is in it.

    Returns:
        On the CPU, in evaluation mode.

    Raises:
        ModelError: it cannot be read or downloaded, or is not a whole CLIP with these settings.
    """
    source = NAMES.get(str(name_or_file), str(name_or_file))
    clip = Clip(clip_settings(source, settings))
    path, tensors = read_weights(source, clip.settings.encoder)
    fill_encoder(clip.encoder, path, tensors)
    wanted = {name for name in clip.text_tower.tower.state_dict() if name != "attn_mask"}
    missing = sorted(wanted - tensors.keys())
    if missing:
        raise ModelError(path, f"holds no text tower: {listed(missing, 4)} missing", "give a whole CLIP")
    try:
        clip.text_tower.tower.load_state_dict({name: tensors[name] for name in wanted}, strict=False)
    except RuntimeError as error:
        raise ModelError(
            path, f"its text tower does not fit the settings ({error})", "give its own settings"
        ) from error
    return clip


def template_sentences(templates: str | Sequence[str]) -> list[str]:
    """Return prompt templates: those of a set's name, or the sentences themselves.

    Raises:
        InputError: there is no such set.
    """
    if templates == IMAGENET:
        return [make("{}") for make in open_clip.OPENAI_IMAGENET_TEMPLATES]
    if isinstance(templates, str) and templates not in TEMPLATE_SETS:
        raise InputError(
            "templates",
            f"{templates!r} is not a set of templates",
            f"choose from {', '.join(TEMPLATE_SETS)}, or give a list",
        )
    return list(_NAME_ALONE if isinstance(templates, str) else templates)
