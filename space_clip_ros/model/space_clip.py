"""SPACE-CLIP (arXiv:2601.17657): one frozen vision tower, a dual-pathway decoder, metric depth."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from space_clip_ros.config import ModelConfig
from space_clip_ros.errors import ConfigError
from space_clip_ros.model.blocks import DepthHead, UncertaintyHead, resize_bilinear
from space_clip_ros.model.decoder import Decoder, DecoderOutput, to_map
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.joint_features import JointFeatures, is_joint, tower_hash
from space_clip_ros.model.language_head import LANGUAGE_LEVEL, LanguageHead, image_embedding
from space_clip_ros.model.pretrained import load_pretrained

_SMALLEST_AUXILIARY_HIDDEN = 16
_UNCERTAINTY_HIDDEN = 8
UNCERTAINTY_LEVEL = 2
"""Decoder block that the uncertainty head reads: the last but one, of half the network's input size."""
UNCERTAINTY_HEAD = "uncertainty_head."
"""What the names of the uncertainty head's tensors begin with."""


class SpaceClipOutput(NamedTuple):
    """The model's output for a batch.

    Attributes:
        depth: (B, 1, H, W) metres, at least 0.
        auxiliary: depth maps of the auxiliary heads, coarse to fine, each (B, 1, H, W) metres; empty if not asked for
            or if the model has none.
        context: (B, width) global vector of the vision tower.
        laplace_scale: (B, 1, h, w) scale of a Laplace distribution over the logarithm of depth, before calibration,
            above 0, at a quarter of depth's own size; None if the model has no uncertainty.
        embedding: (B, D) of length 1, the image in the space of ``config.language``; None if not among its outputs.
        dense: (B, rows, columns, D) of length 1, the same for each place of the image; None likewise.
    """

    depth: Tensor
    auxiliary: tuple[Tensor, ...]
    context: Tensor
    laplace_scale: Tensor | None = None
    embedding: Tensor | None = None
    dense: Tensor | None = None


class SpaceClipFeatures(NamedTuple):
    """All intermediate features of one run; h and w are the patch grid's.

    Attributes:
        states: hidden states 0 to 12 of the tower, each (B, T, width), with the class token, if any, first.
        context: (B, width).
        semantic_projected: 4 of (B, channels[i], h, w), from states 12, 9, 6, 3.
        structural_projected: 3 of (B, channels[i], h, w), from states 2, 1, 0.
        semantic_decoder: 4 of (B, channels[i], h * 2^(i+1), w * 2^(i+1)).
        grid: h and w.
        joint: features in CLIP's joint space; None if the model has no projection to it.
    """

    states: tuple[Tensor, ...]
    context: Tensor
    semantic_projected: tuple[Tensor, ...]
    structural_projected: tuple[Tensor, ...]
    semantic_decoder: tuple[Tensor, ...]
    grid: tuple[int, int]
    joint: JointFeatures | None = None


class SpaceClip(nn.Module):
    """The network: normalised RGB in, metric depth out; the forward pass stores nothing on the module.

    Build one with :func:`build` or :func:`space_clip_ros.model.checkpoint.load_checkpoint`.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build the whole model with random weights."""
        super().__init__()
        self.config = config
        channels = config.decoder.channels
        self.encoder = Encoder(config.encoder, config.language)
        self.decoder = Decoder(config.encoder.width, self.encoder.prefix_tokens, config.decoder)
        head = config.decoder.head
        self.depth_head = DepthHead(channels[-1], channels[-1] // 2, kernel_size=3, kind=head)
        coarse = channels[:-1] if config.decoder.auxiliary_heads else ()
        self.auxiliary_heads = nn.ModuleList(
            DepthHead(count, max(count // 2, _SMALLEST_AUXILIARY_HIDDEN), kernel_size=1, kind=head) for count in coarse
        )
        self.uncertainty_head: UncertaintyHead | None = None
        if config.uncertainty:
            # Leaves the random generator as it was, so the other weights are the same with and without this head.
            with torch.random.fork_rng(devices=[]):
                self.uncertainty_head = UncertaintyHead(channels[UNCERTAINTY_LEVEL], _UNCERTAINTY_HIDDEN)
        self.language_head: LanguageHead | None = None
        if config.language.outputs and config.language.vocabulary:
            with torch.random.fork_rng(devices=[]):
                self.language_head = LanguageHead(
                    config.encoder.width, channels[LANGUAGE_LEVEL], config.language.embed_dim
                )
        self._depth_frozen = False

    def features(self, images: Tensor) -> SpaceClipFeatures:
        """Return all intermediate features for normalised images (B, 3, h, w).

        Raises:
            InputError: the images' shape or dtype does not fit.
        """
        encoded = self.encoder(images)
        decoded: DecoderOutput = self.decoder(encoded)
        return SpaceClipFeatures(encoded.states, encoded.context, *decoded, encoded.grid, encoded.joint)

    def forward(
        self, images: Tensor, output_size: tuple[int, int] | None = None, auxiliary: bool = True
    ) -> SpaceClipOutput:
        """Estimate metric depth.

        Args:
            images: (B, 3, h, w) float RGB, normalised with ``config.mean`` and ``config.std``; h and w multiples of
                the patch size.
            output_size: height and width of the depth; None for the images' size.
            auxiliary: whether to run the auxiliary heads too, if the model has them. Inference passes False.

        Raises:
            InputError: the images' shape or dtype does not fit.
        """
        size = images.shape[2:] if output_size is None else output_size
        features = self.features(images)
        depth = resize_bilinear(self.depth_head(features.semantic_decoder[-1]), size)
        heads = zip(self.auxiliary_heads, features.semantic_decoder, strict=False) if auxiliary else ()
        coarse = tuple(resize_bilinear(head(feature), size) for head, feature in heads)
        embedding, dense = self.language_features(features)
        return SpaceClipOutput(depth, coarse, features.context, self._laplace_scale(features), embedding, dense)

    def language_features(self, features: SpaceClipFeatures) -> tuple[Tensor | None, Tensor | None]:
        """Return the embedding (B, D) and the dense features (B, rows, columns, D); each None if not an output."""
        if self.language_head is not None:
            # Detached: whatever this head learns, the features that depth is made of stay as they are.
            tokens = to_map(features.states[-1][:, self.encoder.prefix_tokens :].detach(), features.grid)
            dense = self.language_head(tokens, features.semantic_decoder[LANGUAGE_LEVEL].detach())
            found: tuple[Tensor, Tensor | None] = (image_embedding(dense), dense)
        elif features.joint is not None:
            found = features.joint
        else:
            return None, None
        embedding, wanted = found[0], self.config.language.outputs
        return embedding if "embedding" in wanted else None, found[1] if "dense" in wanted else None

    def relative_deviation(self, output: SpaceClipOutput) -> Tensor | None:
        """Return one standard deviation as a share of depth, (B, 1, h, w) as ``laplace_scale``; None without it.

        A Laplace distribution of scale b has the standard deviation ``sqrt(2) * b``. Here it is that of log depth, so
        to first order it is a share of depth; ``config.uncertainty_factor`` calibrates it.
        """
        if output.laplace_scale is None:
            return None
        return output.laplace_scale * (math.sqrt(2.0) * self.config.uncertainty_factor)

    def standard_deviation(self, output: SpaceClipOutput) -> Tensor | None:
        """Return one standard deviation of an output's depth, (B, 1, H, W) metres; None without uncertainty."""
        relative = self.relative_deviation(output)
        return None if relative is None else output.depth * resize_bilinear(relative, output.depth.shape[2:])

    def freeze_depth(self) -> None:
        """Freeze everything but the uncertainty head, batch norm statistics included, so that depth stays as it is.

        Raises:
            ConfigError: the model has no uncertainty head.
        """
        if self.uncertainty_head is None:
            raise ConfigError("model.uncertainty", "must be true to train the uncertainty head")
        self.requires_grad_(False)
        self.uncertainty_head.requires_grad_(True)
        self._depth_frozen = True
        self.train(self.training)

    def train(self, mode: bool = True) -> SpaceClip:
        """Set training mode; after :meth:`freeze_depth` only the uncertainty head trains."""
        super().train(mode)
        if mode and self._depth_frozen:
            for module in self.children():
                module.train(module is self.uncertainty_head)
        return self

    def _laplace_scale(self, features: SpaceClipFeatures) -> Tensor | None:
        if self.uncertainty_head is None:
            return None
        # Detached: whatever this head learns, the features that depth is made of stay as they are.
        scale: Tensor = self.uncertainty_head(features.semantic_decoder[UNCERTAINTY_LEVEL].detach())
        return scale


def build(config: ModelConfig, pretrained: str | Path | None = None) -> SpaceClip:
    """Return a model with random weights, in evaluation mode.

    Args:
        config: settings of the whole model.
        pretrained: weights for the vision tower, as :func:`space_clip_ros.model.pretrained.load_pretrained` takes
            them. ``openai`` with ``ModelConfig()`` gives the published method's model with an untrained decoder.

    Raises:
        ModelError: the pretrained weights cannot be read or downloaded, or do not fit.
    """
    model = SpaceClip(config).eval()
    if pretrained is not None:
        load_pretrained(model.encoder, pretrained)
        name_tower(model)
    return model


def name_tower(model: SpaceClip) -> None:
    """Note in the configuration of a model with CLIP's language features which tower and projection they are from."""
    if is_joint(model.config.language):
        language = dataclasses.replace(model.config.language, tower=tower_hash(model.encoder))
        model.config = dataclasses.replace(model.config, language=language)


def with_uncertainty_factor(model: SpaceClip, factor: float) -> SpaceClip:
    """Return a model that shares the weights of ``model`` and has another ``config.uncertainty_factor``."""
    calibrated = copy.copy(model)
    calibrated.config = dataclasses.replace(model.config, uncertainty_factor=factor)
    return calibrated


def predict_flip_averaged(model: SpaceClip, images: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
    """Return the mean of the images' depth and their mirror images' depth mirrored back.

    Args:
        model: in evaluation mode.
        images: (B, 3, h, w) as :meth:`SpaceClip.forward` takes them.
        output_size: height and width of the depth; None for the images' size.

    Returns:
        (B, 1, H, W) metres.
    """
    plain: Tensor = model(images, output_size, auxiliary=False).depth
    mirrored: Tensor = model(images.flip(-1), output_size, auxiliary=False).depth
    return (plain + mirrored.flip(-1)) / 2
