"""A head for a closed list of names: each place of the image gets a vector with one axis for each name."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.model.blocks import resize_bilinear

LANGUAGE_LEVEL = 1
"""Decoder block that the head reads: the second, which has doubled the patch grid twice."""
LANGUAGE_HEAD = "language_head."
"""What the names of the head's tensors begin with."""
_HIDDEN = 64


class LanguageHead(nn.Module):
    """Two 1x1 convolutions, with GELU between, over the tower's last state and a decoder block's features.

    The last state's grid is resized to the block's. A 1x1 convolution and that resize can be swapped, so the first
    convolution runs on the patch grid for the state's share of it.
    """

    def __init__(self, width: int, channels: int, length: int) -> None:
        """Create the layers.

        Args:
            width: the tower's token width.
            channels: of the decoder block.
            length: of the vectors: the number of names.
        """
        super().__init__()
        self.tokens = nn.Conv2d(width, _HIDDEN, kernel_size=1)
        self.features = nn.Conv2d(channels, _HIDDEN, kernel_size=1, bias=False)
        self.names = nn.Conv2d(_HIDDEN, length, kernel_size=1)

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        """Map tokens (B, width, h, w) and features (B, channels, 4h, 4w) to (B, 4h, 4w, length), of length 1."""
        seen = resize_bilinear(self.tokens(tokens), features.shape[2:]) + self.features(features)
        return functional.normalize(self.names(functional.gelu(seen)), dim=1).permute(0, 2, 3, 1)


def image_embedding(dense: Tensor) -> Tensor:
    """Return the mean direction of (B, rows, columns, D) vectors: (B, D), of length 1."""
    return functional.normalize(torch.mean(dense, dim=(1, 2)), dim=-1)
