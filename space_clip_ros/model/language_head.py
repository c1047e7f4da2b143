"""A head for a closed list of names: each place of the image gets a vector with one axis for each name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.model.fine_features import FINE_CHANNELS, FineFeatures

LANGUAGE_HEAD = "language_head."
"""What the names of the head's tensors begin with."""


class LanguageHead(FineFeatures):
    """Names from :class:`FineFeatures`."""

    def __init__(self, width: int, channels: Sequence[int], length: int) -> None:
        """Create the layers.

        Args:
            width: the tower's token width.
            channels: of the decoder blocks that are read.
            length: of the vectors: the number of names.
        """
        super().__init__(width, channels)
        self.names = nn.Conv2d(FINE_CHANNELS, length, kernel_size=1)

    def forward(self, image: Tensor, states: Sequence[Tensor], blocks: Sequence[Tensor]) -> Tensor:
        """Return the vectors of an image, (B, 8h, 8w, length), of length 1; see :meth:`FineFeatures.features`."""
        return functional.normalize(self.names(self.features(image, states, blocks)), dim=1).permute(0, 2, 3, 1)


def image_embedding(dense: Tensor) -> Tensor:
    """Return the mean direction of (B, rows, columns, D) vectors: (B, D), of length 1."""
    return functional.normalize(torch.mean(dense, dim=(1, 2)), dim=-1)
