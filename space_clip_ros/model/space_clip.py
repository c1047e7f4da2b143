"""SPACE-CLIP (arXiv:2601.17657): one frozen vision tower, a dual-pathway decoder, metric depth."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from space_clip_ros.config import ModelConfig
from space_clip_ros.model.blocks import DepthHead, resize_bilinear
from space_clip_ros.model.decoder import Decoder
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.pretrained import load_pretrained

_SMALLEST_AUXILIARY_HIDDEN = 16


class SpaceClipOutput(NamedTuple):
    """The model's output for a batch.

    Attributes:
        depth: (B, 1, H, W) metres, at least 0.
        auxiliary: depth maps of the auxiliary heads, coarse to fine, each (B, 1, H, W) metres; empty if not asked for
            or if the model has none.
        context: (B, width) global vector of the vision tower.
    """

    depth: Tensor
    auxiliary: tuple[Tensor, ...]
    context: Tensor


class SpaceClipFeatures(NamedTuple):
    """All intermediate features of one run; h and w are the patch grid's.

    Attributes:
        states: hidden states 0 to 12 of the tower, each (B, T, width), with the class token, if any, first.
        context: (B, width).
        semantic_projected: 4 of (B, channels[i], h, w), from states 12, 9, 6, 3.
        structural_projected: 3 of (B, channels[i], h, w), from states 2, 1, 0.
        semantic_decoder: 4 of (B, channels[i], h * 2^(i+1), w * 2^(i+1)).
    """

    states: tuple[Tensor, ...]
    context: Tensor
    semantic_projected: tuple[Tensor, ...]
    structural_projected: tuple[Tensor, ...]
    semantic_decoder: tuple[Tensor, ...]


class SpaceClip(nn.Module):
    """The network: normalised RGB in, metric depth out; the forward pass stores nothing on the module.

    Build one with :func:`build` or :func:`space_clip_ros.model.checkpoint.load_checkpoint`.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Build the whole model with random weights."""
        super().__init__()
        self.config = config
        channels = config.decoder.channels
        self.encoder = Encoder(config.encoder)
        self.decoder = Decoder(config.encoder.width, self.encoder.prefix_tokens, config.decoder)
        head = config.decoder.head
        self.depth_head = DepthHead(channels[-1], channels[-1] // 2, kernel_size=3, kind=head)
        coarse = channels[:-1] if config.decoder.auxiliary_heads else ()
        self.auxiliary_heads = nn.ModuleList(
            DepthHead(count, max(count // 2, _SMALLEST_AUXILIARY_HIDDEN), kernel_size=1, kind=head) for count in coarse
        )

    def features(self, images: Tensor) -> SpaceClipFeatures:
        """Return all intermediate features for normalised images (B, 3, h, w).

        Raises:
            InputError: the images' shape or dtype does not fit.
        """
        encoded = self.encoder(images)
        return SpaceClipFeatures(encoded.states, encoded.context, *self.decoder(encoded))

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
        return SpaceClipOutput(depth, coarse, features.context)


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
    return model


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
