"""A head for a closed list of names: each place of the image gets a vector with one axis for each name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.model.blocks import ConvNormReLU, ResidualBlock, resize_bilinear

LANGUAGE_LEVELS = (1, 2)
"""Decoder blocks that the head reads: the second and third, of four and eight times the patch grid's size."""
LANGUAGE_HEAD = "language_head."
"""What the names of the head's tensors begin with."""
_STATES = 5
_HIDDEN = 128
_EDGES, _LOCAL, _CONTEXT = 16, 32, 64
_UNFOLDED = (32, 16, 8)
_MIDDLE, _FINE = 32, 24


def states_read(layers: int) -> tuple[int, ...]:
    """Return the numbers of the hidden states that the head reads: five, spread evenly over the tower."""
    return tuple(round(layers * index / (_STATES - 1)) for index in range(_STATES))


class LanguageHead(nn.Module):
    """Names from the tower's states, the decoder's features and a small look of its own at the image.

    What a depth model learns tells surfaces apart by their shape. What they are stands in the tower's earlier states,
    too, and the outlines of thin things in the image. Coarse maps are unfolded into finer ones, as a sub-pixel
    convolution does (Shi et al., 2016).
    """

    def __init__(self, width: int, channels: Sequence[int], length: int) -> None:
        """Create the layers.

        Args:
            width: the tower's token width.
            channels: of the decoder blocks of :data:`LANGUAGE_LEVELS`.
            length: of the vectors: the number of names.
        """
        super().__init__()
        first, second, third = _UNFOLDED
        self.edges = ConvNormReLU(3, _EDGES, stride=2)
        self.local = ConvNormReLU(_EDGES, _LOCAL, stride=2)
        self.surroundings = nn.Sequential(ConvNormReLU(_LOCAL, _CONTEXT, stride=2), ResidualBlock(_CONTEXT, 0.0))
        self.states = nn.Conv2d(_STATES * width, _HIDDEN, kernel_size=1)
        self.patches = ConvNormReLU(_HIDDEN, _HIDDEN)
        self.unfold_patches = nn.Conv2d(_HIDDEN, first * 4, kernel_size=1)
        self.context = nn.Sequential(ConvNormReLU(first + _CONTEXT, _CONTEXT), ResidualBlock(_CONTEXT, 0.0))
        self.unfold_context = nn.Conv2d(_CONTEXT, second * 4, kernel_size=1)
        self.middle = ConvNormReLU(second + _LOCAL + channels[0], _MIDDLE)
        self.unfold_middle = nn.Conv2d(_MIDDLE, third * 4, kernel_size=1)
        self.fine = ConvNormReLU(third + _EDGES + channels[1], _FINE)
        self.names = nn.Conv2d(_FINE, length, kernel_size=1)

    def forward(self, image: Tensor, states: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
        """Return the vectors of an image whose patch grid is (h, w).

        Args:
            image: (B, 3, height, width), normalised.
            states: five of (B, width, h, w), those of :func:`states_read`.
            features: (B, channels[0], 4h, 4w) and (B, channels[1], 8h, 8w), of the decoder.

        Returns:
            (B, 8h, 8w, length), of length 1.
        """
        # Two pixels to a place: patches of 16 pixels have eight places a side, others are resized.
        size = [2 * side for side in features[1].shape[2:]]
        edges = self.edges(image if list(image.shape[2:]) == size else resize_bilinear(image, size))
        local = self.local(edges)
        surroundings = self.surroundings(local)
        patches = self.patches(functional.relu(self.states(torch.cat(tuple(states), dim=1))))
        unfolded = functional.pixel_shuffle(self.unfold_patches(patches), 2)
        context = self.context(torch.cat([unfolded, surroundings], dim=1))
        unfolded = functional.pixel_shuffle(self.unfold_context(context), 2)
        middle = self.middle(torch.cat([unfolded, local, features[0]], dim=1))
        unfolded = functional.pixel_shuffle(self.unfold_middle(middle), 2)
        named = self.names(self.fine(torch.cat([unfolded, edges, features[1]], dim=1)))
        return functional.normalize(named, dim=1).permute(0, 2, 3, 1)


def image_embedding(dense: Tensor) -> Tensor:
    """Return the mean direction of (B, rows, columns, D) vectors: (B, D), of length 1."""
    return functional.normalize(torch.mean(dense, dim=(1, 2)), dim=-1)
