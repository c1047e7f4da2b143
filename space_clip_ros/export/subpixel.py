"""Sub-pixel convolutions (Shi et al., 2016): output channels are the pixels of a block, shuffled into place."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 4


def whole_blocks(grid: tuple[int, int]) -> bool:
    """Return whether a map of so many rows and columns consists of whole blocks, as :class:`SubpixelConv` needs it."""
    return not any(size % _BLOCK for size in grid)


class SubpixelConv(nn.Module):
    """A 3x3 convolution to one channel that computes blocks of 4 x 4 pixels as 16 channels.

    CPU runtimes compute convolutions 8 or 16 output channels at a time, so with a single channel 15 of 16 are wasted.
    With stride 4, each output channel is a pixel of the block and all are used: a 6x6 kernel covers what the 16 pixels
    read, and a pixel shuffle puts them in place.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        """Rewrite ``conv``: 3x3, padding 1, one output channel, with bias."""
        super().__init__()
        reach = _BLOCK + 2
        weight = conv.weight.new_zeros(_BLOCK, _BLOCK, conv.in_channels, reach, reach)
        for row in range(_BLOCK):
            for column in range(_BLOCK):
                weight[row, column, :, row : row + 3, column : column + 3] = conv.weight[0]
        self.blocks = nn.Conv2d(conv.in_channels, _BLOCK**2, kernel_size=reach, stride=_BLOCK, padding=1)
        self.blocks.weight = nn.Parameter(weight.reshape(_BLOCK**2, conv.in_channels, reach, reach))
        self.blocks.bias = nn.Parameter(cast(Tensor, conv.bias).detach().expand(_BLOCK**2).clone())

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, 1, h, w); h and w multiples of 4."""
        return functional.pixel_shuffle(self.blocks(features), _BLOCK)


class SubpixelTransposedConv(nn.Module):
    """A 2x2 transposed convolution of stride 2 as a 1x1 convolution to four pixels and a pixel shuffle.

    The products are the same. ONNX Runtime has int8 kernels for convolutions, but not for transposed ones.
    """

    def __init__(self, transposed: nn.ConvTranspose2d) -> None:
        """Rewrite ``transposed``: 2x2, stride 2, without padding, with bias."""
        super().__init__()
        self.pixels = nn.Conv2d(transposed.in_channels, 4 * transposed.out_channels, kernel_size=1)
        # (in, out, row, column) to (out, row, column, in), as pixel_shuffle takes its channels
        weight = transposed.weight.permute(1, 2, 3, 0).reshape(-1, transposed.in_channels, 1, 1)
        self.pixels.weight = nn.Parameter(weight.clone())
        self.pixels.bias = nn.Parameter(cast(Tensor, transposed.bias).detach().repeat_interleave(4))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, 2h, 2w)."""
        return functional.pixel_shuffle(self.pixels(features), 2)
