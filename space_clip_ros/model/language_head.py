"""A head for a closed list of names: each place of the image gets a vector with one axis for each name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.model.blocks import ConvNormReLU

LANGUAGE_LEVELS = (1, 2)
"""Decoder blocks that the head reads: the second and third, of four and eight times the patch grid's size."""
LANGUAGE_HEAD = "language_head."
"""What the names of the head's tensors begin with."""
_STATES = 5
_HIDDEN = 160
_FINE = (48, 32)
_PATCH_CHANNELS = (32, 16)


def states_read(layers: int) -> tuple[int, ...]:
    """Return the numbers of the hidden states that the head reads: five, spread evenly over the tower."""
    return tuple(round(layers * index / (_STATES - 1)) for index in range(_STATES))


class LanguageHead(nn.Module):
    """Convolutions over the tower's states on the patch grid, then over them and the decoder's features, finer.

    What a depth model learns tells surfaces apart by their shape; what they are stands in the tower's earlier states,
    too. Each patch's vector is unfolded into finer places, as a sub-pixel convolution does (Shi et al., 2016).
    """

    def __init__(self, width: int, channels: Sequence[int], length: int) -> None:
        """Create the layers.

        Args:
            width: the tower's token width.
            channels: of the decoder blocks of :data:`LANGUAGE_LEVELS`.
            length: of the vectors: the number of names.
        """
        super().__init__()
        middle, fine = _FINE
        self.states = nn.Conv2d(_STATES * width, _HIDDEN, kernel_size=1)
        self.patches = ConvNormReLU(_HIDDEN, _HIDDEN)
        self.unfold = nn.Conv2d(_HIDDEN, _PATCH_CHANNELS[0] * 16, kernel_size=1)
        self.middle = ConvNormReLU(_PATCH_CHANNELS[0] + channels[0], middle)
        self.unfold_middle = nn.Conv2d(middle, _PATCH_CHANNELS[1] * 4, kernel_size=1)
        self.fine = ConvNormReLU(_PATCH_CHANNELS[1] + channels[1], fine)
        self.names = nn.Conv2d(fine, length, kernel_size=1)

    def forward(self, states: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
        """Return the vectors of an image.

        Args:
            states: five of (B, width, h, w), those of :func:`states_read`.
            features: (B, channels[0], 4h, 4w) and (B, channels[1], 8h, 8w), of the decoder.

        Returns:
            (B, 8h, 8w, length), of length 1.
        """
        patches = self.patches(functional.relu(self.states(torch.cat(tuple(states), dim=1))))
        middle = self.middle(torch.cat([functional.pixel_shuffle(self.unfold(patches), 4), features[0]], dim=1))
        unfolded = functional.pixel_shuffle(self.unfold_middle(middle), 2)
        named = self.names(self.fine(torch.cat([unfolded, features[1]], dim=1)))
        return functional.normalize(named, dim=1).permute(0, 2, 3, 1)


def image_embedding(dense: Tensor) -> Tensor:
    """Return the mean direction of (B, rows, columns, D) vectors: (B, D), of length 1."""
    return cast(Tensor, functional.normalize(torch.mean(dense, dim=(1, 2)), dim=-1))
