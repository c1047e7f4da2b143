"""SPACE-CLIP (arXiv:2601.17657): one frozen vision tower, a dual-pathway decoder, metric depth."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from space_clip_ros.errors import ConfigError
from space_clip_ros.model.blocks import DepthHead, UncertaintyHead, resize_bilinear
from space_clip_ros.model.decoder import Decoder, DecoderOutput, to_map
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.fine_features import FINE_LEVELS, states_read
from space_clip_ros.model.joint_features import JointFeatures, is_joint, tower_hash
from space_clip_ros.model.language_head import LANGUAGE_HEAD, LanguageHead, image_embedding
from space_clip_ros.model.pretrained import load_pretrained
from space_clip_ros.model.refinement_head import RefinementHead
from space_clip_ros.model_config import ModelConfig

_SMALLEST_AUXILIARY_HIDDEN = 16
_UNCERTAINTY_HIDDEN = 8
UNCERTAINTY_LEVEL = -2
"""Decoder block that the uncertainty head reads: the last but one, of half the depth grid's size."""
UNCERTAINTY_HEAD = "uncertainty_head."
"""What the names of the uncertainty head's tensors begin with."""
COARSE_BLOCKS = 2
"""Decoder blocks that are trained by :meth:`SpaceClip.freeze_all_but` ``coarse``."""
HEADS_BESIDE_DEPTH = (UNCERTAINTY_HEAD, LANGUAGE_HEAD)
"""What the names of the tensors begin with that depth does not depend on."""


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
        intermediates: what the reference implementation's ``return_intermediates`` gives, by its names; None if not
            asked for. See :meth:`SpaceClip.intermediates`.
    """

    depth: Tensor
    auxiliary: tuple[Tensor, ...]
    context: Tensor
    laplace_scale: Tensor | None = None
    embedding: Tensor | None = None
    dense: Tensor | None = None
    intermediates: dict[str, Any] | None = None


class SpaceClipFeatures(NamedTuple):
    """All intermediate features of one run; h and w are the patch grid's.

    Attributes:
        states: hidden states 0 to the last of the tower, each (B, T, width), with the class token, if any, first.
        context: (B, width).
        semantic_projected: for each semantic state (B, channels[i], h, w).
        structural_projected: for each structural state (B, channels[i], h, w).
        semantic_decoder: for each semantic state (B, channels[i], h * 2^(i+1), w * 2^(i+1)).
        structural_decoder: for each structural state (B, channels[i], h * 2^(i+1), w * 2^(i+1)).
        grid: h and w.
        joint: features in CLIP's joint space; None if the model has no projection to it.
    """

    states: tuple[Tensor, ...]
    context: Tensor
    semantic_projected: tuple[Tensor, ...]
    structural_projected: tuple[Tensor, ...]
    semantic_decoder: tuple[Tensor, ...]
    structural_decoder: tuple[Tensor, ...]
    grid: tuple[int, int]
    joint: JointFeatures | None = None


class SpaceClip(nn.Module):
    """The network: normalised RGB in, metric depth out; the forward pass stores nothing on the module.

    Build one with :func:`build` or :func:`space_clip_ros.model.checkpoint.load_checkpoint`.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build the whole model with random weights.

        Raises:
            ConfigError: ``config.encoder.tower`` still names a tower instead of its settings.
        """
        super().__init__()
        if config.encoder.tower:
            raise ConfigError(
                "model.encoder.tower",
                f"{config.encoder.tower} stands for settings that were not filled in",
                "read them with space_clip_ros.model.towers.with_tower first",
            )
        self.config = config
        channels = config.decoder.channels
        self.encoder = Encoder(config.encoder, config.language)
        self.decoder = Decoder(config.encoder.width, config.encoder.layers, self.encoder.prefix_tokens, config.decoder)
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
        self.refinement_head: RefinementHead | None = None
        width, read = config.encoder.width, [channels[level] for level in FINE_LEVELS if level < len(channels)]
        with torch.random.fork_rng(devices=[]):
            if config.language.outputs and config.language.vocabulary:
                self.language_head = LanguageHead(width, read, config.language.embed_dim)
            if config.refinement:
                self.refinement_head = RefinementHead(width, read)
        self._trained = ""
        self._trained_parts: list[nn.Module] = []

    def features(self, images: Tensor) -> SpaceClipFeatures:
        """Return all intermediate features for normalised images (B, 3, h, w).

        Raises:
            InputError: the images' shape or dtype does not fit.
        """
        encoded = self.encoder(images)
        decoded: DecoderOutput = self.decoder(encoded, COARSE_BLOCKS if self._trained == "coarse" else None)
        return SpaceClipFeatures(encoded.states, encoded.context, *decoded, encoded.grid, encoded.joint)

    def forward(
        self,
        images: Tensor,
        output_size: tuple[int, int] | None = None,
        auxiliary: bool = True,
        return_intermediates: bool = False,
    ) -> SpaceClipOutput:
        """Estimate metric depth.

        Args:
            images: (B, 3, h, w) float RGB, normalised with ``config.mean`` and ``config.std``; h and w multiples of
                the patch size.
            output_size: height and width of the depth; None for the images' size.
            auxiliary: whether to run the auxiliary heads too, if the model has them. Inference passes False.
            return_intermediates: whether to return :meth:`intermediates` too.

        Raises:
            InputError: the images' shape or dtype does not fit.
        """
        size = images.shape[2:] if output_size is None else output_size
        features = self.features(images)
        if self._trained == "coarse":
            depth = self.auxiliary_heads[COARSE_BLOCKS - 1](features.semantic_decoder[-1])
            return SpaceClipOutput(resize_bilinear(depth, size), (), features.context)
        depth = self.depth_head(features.semantic_decoder[-1])
        if self.refinement_head is not None:
            depth = self.refinement_head(images, *self._finely_read(features), depth)
        depth = resize_bilinear(depth, size)
        heads = zip(self.auxiliary_heads, features.semantic_decoder, strict=False) if auxiliary else ()
        coarse = tuple(resize_bilinear(head(feature), size) for head, feature in heads)
        embedding, dense = self._language_features(images, features)
        named = self.intermediates(features, images) if return_intermediates else None
        scale = self._laplace_scale(features)
        return SpaceClipOutput(depth, coarse, features.context, scale, embedding, dense, named)

    def intermediates(self, features: SpaceClipFeatures, images: Tensor) -> dict[str, Any]:
        """Return intermediate features by the names that the reference implementation gives them.

        Args:
            features: of :meth:`features`.
            images: (B, 3, h, w) that they were computed from.

        Returns:
            ``pooler_output``, a tensor; ``semantic_projected``, ``structural_projected``, ``semantic_decoder`` and
            ``structural_decoder``, tuples of maps as in :class:`SpaceClipFeatures`; ``patch_grid_hw``, the patch
            grid's height and width; ``semantic_layer_indices`` and ``structural_layer_indices``, the states read.
        """
        patch = self.config.encoder.patch_size
        return {
            "pooler_output": features.context,
            "semantic_projected": features.semantic_projected,
            "structural_projected": features.structural_projected,
            "semantic_decoder": features.semantic_decoder,
            "structural_decoder": features.structural_decoder,
            "patch_grid_hw": (int(images.shape[-2]) // patch, int(images.shape[-1]) // patch),
            "semantic_layer_indices": self.decoder.semantic_states,
            "structural_layer_indices": self.decoder.structural_states,
        }

    def _language_features(self, images: Tensor, features: SpaceClipFeatures) -> tuple[Tensor | None, Tensor | None]:
        """Return the embedding (B, D) and the dense features (B, rows, columns, D); each None if not an output."""
        wanted = self.config.language.outputs
        if self.language_head is not None:
            if not self._needed("language"):
                return None, None
            # Detached: whatever this head learns, the features that depth is made of stay as they are.
            states, blocks = ([read.detach() for read in maps] for maps in self._finely_read(features))
            dense = self.language_head(images, states, blocks)
            embedding = image_embedding(dense) if "embedding" in wanted else None
        elif features.joint is not None:
            embedding, dense = features.joint
        else:
            return None, None
        return embedding if "embedding" in wanted else None, dense if "dense" in wanted else None

    def _finely_read(self, features: SpaceClipFeatures) -> tuple[list[Tensor], list[Tensor]]:
        """Return the tower's states, as maps, and the decoder's blocks that the heads with fine features read."""
        prefix = self.encoder.prefix_tokens
        states = [features.states[number] for number in states_read(self.config.encoder.layers)]
        maps = [to_map(state[:, prefix:], features.grid) for state in states]
        return maps, [features.semantic_decoder[level] for level in FINE_LEVELS]

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

    def freeze_all_but(self, trained: str) -> None:
        """Freeze everything but one part, batch norm statistics included.

        Args:
            trained: ``uncertainty`` or ``language``, heads that leave depth as it is; ``refinement``, a head; or
                ``coarse``, the tower and the decoder's first two blocks. From then on the model runs no more than
                those, and its depth is that of the second block's auxiliary head.

        Raises:
            ConfigError: the model has no such part.
        """
        if trained == "coarse":
            parts = self._coarse_parts()
        else:
            head: nn.Module | None = getattr(self, f"{trained}_head")
            if head is None:
                setting, value = ("language.vocabulary", "given") if trained == "language" else (trained, "true")
                raise ConfigError(f"model.{setting}", f"must be {value} to train the {trained} head")
            parts = [head]
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.requires_grad_(False)
        within = {id(parameter) for part in parts for parameter in part.parameters()}
        for parameter in trainable:
            parameter.requires_grad_(id(parameter) in within)
        self._trained, self._trained_parts = trained, parts
        self.train(self.training)

    def _coarse_parts(self) -> list[nn.Module]:
        if len(self.auxiliary_heads) < COARSE_BLOCKS:
            raise ConfigError(
                "model.decoder.auxiliary_heads", f"must be true, with more than {COARSE_BLOCKS} blocks, to train coarse"
            )
        decoder = self.decoder
        return [
            self.encoder,
            decoder.film[:COARSE_BLOCKS],
            *(part[:COARSE_BLOCKS] for part in (decoder.cross_attention, decoder.semantic_projections)),
            *(part[:COARSE_BLOCKS] for part in (decoder.structural_projections, decoder.structural_blocks)),
            decoder.semantic_blocks[:COARSE_BLOCKS],
            self.auxiliary_heads[COARSE_BLOCKS - 1],
        ]

    def train(self, mode: bool = True) -> SpaceClip:
        """Set training mode; after :meth:`freeze_all_but` only its part trains."""
        super().train(mode and not self._trained_parts)
        for part in self._trained_parts:
            part.train(mode)
        self.training = mode
        return self

    def _needed(self, head: str) -> bool:
        """Return whether a head beside depth runs. All do, unless only another part is being trained."""
        return not self.training or self._trained in ("", head)

    def _laplace_scale(self, features: SpaceClipFeatures) -> Tensor | None:
        if self.uncertainty_head is None or not self._needed("uncertainty"):
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
