"""A convolutional stem beside the patch embedding, for small towers that start from random weights."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from space_clip_ros.model.blocks import ConvNormReLU

_NARROWEST = 16


class ConvolutionalStem(nn.Module):
    """Adds what strided 3x3 convolutions see to the patch embedding's one product per patch.

    Small transformers learn faster with such a stem and generalise better (Xiao et al., 2021, arXiv:2106.14881). Each
    halving of the size is a :class:`ConvNormReLU` of stride 2, followed, except for the first, by one of stride 1.
    The last layer, a 1x1 convolution, starts at zero, so a tower trained without the stem can continue with it.
    """

    def __init__(self, width: int, patch_size: int) -> None:
        """Create the layers.

        Args:
            width: the tower's token width.
            patch_size: pixels per side of a patch, a power of two of at least 2.
        """
        super().__init__()
        halvings = patch_size.bit_length() - 1
        channels = [max(width >> (halvings - step), _NARROWEST) for step in range(1, halvings + 1)]
        layers = [ConvNormReLU(3, channels[0], stride=2)]
        for before, after in pairwise(channels):
            layers += [ConvNormReLU(before, after, stride=2), ConvNormReLU(after, after)]
        self.layers = nn.Sequential(*layers)
        self.project = nn.Conv2d(channels[-1], width, kernel_size=1)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(cast(Tensor, self.project.bias))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to patches (B, width, H / patch_size, W / patch_size)."""
        return cast(Tensor, self.project(self.layers(images)))
