"""A convolutional stem in the place of the patch embedding, for towers that are trained from random weights."""

from __future__ import annotations

from torch import Tensor, nn

from space_clip_ros.model.blocks import ConvNormReLU

_NARROWEST = 16


class ConvolutionalStem(nn.Sequential):
    """Turns an image into patch tokens with strided 3x3 convolutions instead of one product per patch.

    Small transformers without pretraining learn faster and generalise better with it (Xiao et al., 2021,
    arXiv:2106.14881). Every halving of the size is one :class:`ConvNormReLU` of stride 2, and each but the first is
    followed by one of stride 1; the channels double up to ``width``, and a 1x1 convolution ends it.
    """

    def __init__(self, width: int, patch_size: int) -> None:
        """Create the layers.

        Args:
            width: the tower's token width.
            patch_size: pixels per side of a patch, a power of two of at least 2.
        """
        halvings = patch_size.bit_length() - 1
        channels = [max(width >> (halvings - step), _NARROWEST) for step in range(1, halvings + 1)]
        layers: list[nn.Module] = []
        for before, after in zip((3, *channels), channels, strict=False):
            layers.append(ConvNormReLU(before, after, stride=2))
            if before != 3:
                layers.append(ConvNormReLU(after, after))
        super().__init__(*layers, nn.Conv2d(channels[-1], width, kernel_size=1))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to patches (B, width, H / patch_size, W / patch_size)."""
        return super().forward(images)  # type: ignore[no-any-return]
