"""Features finer than the patch grid, from which names and finer depth are predicted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.model.blocks import ConvNormReLU, ResidualBlock, resize_bilinear

FINE_LEVELS = (1, 2)
"""Decoder blocks that are read: the second and third, of four and eight times the patch grid's size."""
FINE_CHANNELS = 24
_STATES = 5
_HIDDEN = 128
_EDGES, _LOCAL, _CONTEXT = 16, 32, 64
_UNFOLDED = (32, 16, 8)
_MIDDLE = 32


def states_read(layers: int) -> tuple[int, ...]:
    """Return the numbers of the five hidden states that are read, spread evenly over the tower."""
    return tuple(round(layers * index / (_STATES - 1)) for index in range(_STATES))


class FineFeatures(nn.Module):
    """Features of eight times the patch grid, from the tower's states, the decoder and the image itself.

    A depth decoder's features describe the shape of surfaces. The tower's earlier states also say what a surface is,
    and the image itself shows the outlines of thin things. Coarse maps are unfolded into finer ones, as a sub-pixel
    convolution does (Shi et al., 2016).
    """

    def __init__(self, width: int, channels: Sequence[int]) -> None:
        """Create the layers.

        Args:
            width: the tower's token width.
            channels: of the decoder blocks of :data:`FINE_LEVELS`.
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
        self.fine = ConvNormReLU(third + _EDGES + channels[1], FINE_CHANNELS)

    def features(self, image: Tensor, states: Sequence[Tensor], blocks: Sequence[Tensor]) -> Tensor:
        """Return the features of an image whose patch grid is (h, w).

        Args:
            image: (B, 3, height, width), normalised.
            states: five of (B, width, h, w), those of :func:`states_read`.
            blocks: (B, channels[0], 4h, 4w) and (B, channels[1], 8h, 8w), of the decoder.

        Returns:
            (B, :data:`FINE_CHANNELS`, 8h, 8w).
        """
        # Two pixels to a place: patches of 16 pixels have eight places a side, others are resized.
        size = [2 * side for side in blocks[1].shape[2:]]
        edges = self.edges(image if list(image.shape[2:]) == size else resize_bilinear(image, size))
        local = self.local(edges)
        surroundings = self.surroundings(local)
        patches = self.patches(functional.relu(self.states(torch.cat(tuple(states), dim=1))))
        unfolded = functional.pixel_shuffle(self.unfold_patches(patches), 2)
        context = self.context(torch.cat([unfolded, surroundings], dim=1))
        unfolded = functional.pixel_shuffle(self.unfold_context(context), 2)
        middle = self.middle(torch.cat([unfolded, local, blocks[0]], dim=1))
        unfolded = functional.pixel_shuffle(self.unfold_middle(middle), 2)
        fine: Tensor = self.fine(torch.cat([unfolded, edges, blocks[1]], dim=1))
        return fine
