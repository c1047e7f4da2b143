"""A head that corrects depth where details are finer than the decoder resolves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.model.blocks import ConvNormReLU, resize_bilinear
from space_clip_ros.model.fine_features import FINE_CHANNELS, FineFeatures

REFINEMENT_HEAD = "refinement_head."
"""What the names of the head's tensors begin with."""
_PATCH = 16
"""Places a side for each patch, where depth is corrected: twice those of the features."""
_MOST = 2.0
_SMALLEST_DEPTH = 0.01
_USUAL_LOG_DEPTH = 2.5


class RefinementHead(FineFeatures):
    """Corrects the decoder's depth within each patch by factors, from :class:`FineFeatures` and that depth.

    The features may start from a head of names (see ``train_only: refinement``), which can already tell things apart.
    The last layer starts at zero, so a new head leaves depth as it is.
    """

    def __init__(self, width: int, channels: Sequence[int]) -> None:
        """Create the layers.

        Args:
            width: the tower's token width.
            channels: of the decoder blocks that are read.
        """
        super().__init__(width, channels)
        self.compare = ConvNormReLU(FINE_CHANNELS + 1, FINE_CHANNELS)
        self.correction = nn.Conv2d(FINE_CHANNELS, 4, kernel_size=3, padding=1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(cast(Tensor, self.correction.bias))

    def forward(self, image: Tensor, states: Sequence[Tensor], blocks: Sequence[Tensor], depth: Tensor) -> Tensor:
        """Return corrected depth (B, 1, rows, columns), metres: sixteen times the patch grid, or more if depth is.

        Args:
            image: as in :meth:`FineFeatures.features`, like the next two.
            states: of the tower.
            blocks: of the decoder.
            depth: (B, 1, ...) metres, at least 0, of any size.
        """
        fine = self.features(image, states, blocks)
        known = resize_bilinear(depth, fine.shape[2:]).clamp(min=_SMALLEST_DEPTH).log() - _USUAL_LOG_DEPTH
        compared = self.compare(torch.cat([fine, known.to(fine.dtype)], dim=1))
        correction = functional.pixel_shuffle(self.correction(compared), 2).float()
        # A patch's mean depth stays the decoder's, which knows more of real pictures than this head.
        correction = correction - resize_bilinear(functional.avg_pool2d(correction, _PATCH), correction.shape[2:])
        size = max(depth.shape[2:], correction.shape[2:])
        depth, correction = (_to_size(maps, size) for maps in (depth, correction))
        return depth * correction.clamp(-_MOST, _MOST).exp()


def _to_size(maps: Tensor, size: Sequence[int]) -> Tensor:
    return maps if maps.shape[2:] == size else resize_bilinear(maps, size)
