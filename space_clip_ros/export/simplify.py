"""Rewrites parts of a trained model into equivalent, cheaper ones before it is traced.

All rewrites are algebra on linear layers, so that only rounding differs; ``docs/results/decoder_savings.md`` lists what
each one saves. Fusions that runtimes do by themselves (batch norm into the convolution before it) are left to them.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from space_clip_ros.export.subpixel import SubpixelConv, SubpixelTransposedConv, whole_blocks
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.adapters import merge_adapters
from space_clip_ros.model.blocks import StructuralBlock, Upsample

_THINNEST_MERGED = 32
"""Channels from which merging an upsampling step pays off; below, moving pixels costs more than the products."""


def simplify(model: SpaceClip, quantised: bool = False) -> SpaceClip:
    """Return a model that computes the same depth with fewer operations.

    Args:
        model: in evaluation mode; not changed. The result shares no weights with it, takes images of
            ``model.config.input_size`` only, and cannot be trained.
        quantised: its convolutions will be int8, so that they are cheap compared with what stays float32.
    """
    model = with_merged_adapters(model)
    patch = model.config.encoder.patch_size
    rows, columns = (size // patch for size in model.config.input_size)
    with torch.no_grad():
        for index, block in enumerate(model.decoder.structural_blocks):
            scale = 2 ** (index + 1)
            model.decoder.structural_blocks[index] = LowResolutionSkip(
                cast(StructuralBlock, block), (rows, columns), (rows * scale, columns * scale)
            )
        for module in model.decoder.modules():
            upsample = getattr(module, "upsample", None)
            if isinstance(upsample, Upsample) and quantised:
                upsample.register_module("transposed", SubpixelTransposedConv(upsample.transposed))
            elif isinstance(upsample, Upsample) and _worth_merging(upsample):
                module.upsample = MergedUpsample(upsample)
        if whole_blocks(model.config.decoder_grid):
            model.depth_head.register_module("depth", SubpixelConv(model.depth_head.depth))
        if model.uncertainty_head is not None and whole_blocks(model.config.uncertainty_grid):
            model.uncertainty_head.register_module("log_scale", SubpixelConv(model.uncertainty_head.log_scale))
    return model.eval()


def with_merged_adapters(model: SpaceClip) -> SpaceClip:
    """Return a copy of a model whose adapters are merged into the weights that they adapt."""
    model = copy.deepcopy(model)
    merge_adapters(model.encoder)
    return model


class LowResolutionSkip(nn.Module):
    """A :class:`~space_clip_ros.model.blocks.StructuralBlock` that convolves its skip on the patch grid.

    Bilinear resize and convolution are both linear, so they can be swapped: the skip's half of the 3x3 convolution
    becomes one 1x1 convolution per tap on the patch grid. Two matrix products per channel then resize all taps, shift
    each to its place (zeros beyond the border, like the convolution's padding) and sum them.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, block: StructuralBlock, grid: tuple[int, int], size: tuple[int, int]) -> None:
        """Rewrite ``block`` for skips of ``grid`` and results of ``size``, both height and width."""
        super().__init__()
        self.upsample = block.upsample
        self.grid = grid
        fused = fuse_conv_bn_eval(block.fuse.conv, block.fuse.norm)
        self.channels = channels = fused.out_channels
        self.high = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.high.weight = nn.Parameter(fused.weight[:, :channels].clone())
        self.high.bias = fused.bias
        self.taps = nn.Conv2d(channels, 9 * channels, kernel_size=1, bias=False)
        taps = fused.weight[:, channels:].permute(0, 2, 3, 1).reshape(9 * channels, channels, 1, 1)
        self.taps.weight = nn.Parameter(taps.clone())
        self.register_buffer("rows", _resize_and_shift(grid[0], size[0]).to(taps))
        self.register_buffer("columns", _resize_and_shift(grid[1], size[1]).T.contiguous().to(taps))

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        """Map low (B, in_channels, h, w) and skip (B, channels, *grid) to (B, channels, 2h, 2w)."""
        height, width = self.grid
        taps = self.taps(skip).reshape(-1, self.channels, 3, 3, height, width)
        taps = taps.permute(0, 1, 2, 4, 3, 5).reshape(-1, self.channels, 3 * height, 3 * width)
        return functional.relu(self.high(self.upsample(low)) + self.rows @ (taps @ self.columns))


class MergedUpsample(nn.Module):
    """An :class:`~space_clip_ros.model.blocks.Upsample` as one 4x4 transposed convolution of stride 2.

    The first layer's bias passes through the second convolution, which sees less of it at the border. An extra channel
    of ones carries that bias, so that the border is right.
    """

    def __init__(self, upsample: Upsample) -> None:
        """Merge ``upsample``'s transposed convolution, convolution and batch norm."""
        super().__init__()
        first = upsample.transposed
        second = fuse_conv_bn_eval(upsample.smooth.conv, upsample.smooth.norm)
        bias = cast(Tensor, first.bias)
        weight = torch.cat([first.weight, bias[None, :, None, None].expand(-1, -1, 2, 2)])
        # two convolutions in a row have the kernel of the first, convolved in full with that of the second
        merged = functional.conv2d(weight, second.weight, padding=2)
        self.merged = nn.ConvTranspose2d(len(weight), second.out_channels, kernel_size=4, stride=2, padding=1)
        self.merged.weight = nn.Parameter(merged)
        self.merged.bias = second.bias

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, 2h, 2w)."""
        carrier = torch.ones_like(features[:, :1])
        return functional.relu(self.merged(torch.cat([features, carrier], dim=1)))


def _worth_merging(upsample: Upsample) -> bool:
    low, high = upsample.transposed.in_channels, upsample.transposed.out_channels
    return _THINNEST_MERGED <= low <= high and 16 * low < 4 * low + 36 * high


def _resize_and_shift(size: int, resized: int) -> Tensor:
    """Return (resized, 3 * size) weights: a bilinearly resized axis, shifted for each tap, 0 beyond its ends."""
    weights = functional.interpolate(
        torch.eye(size, dtype=torch.float64)[None], size=resized, mode="linear", align_corners=False
    )[0].T
    padded = functional.pad(weights, (0, 0, 1, 1))
    return torch.cat([padded[:-2], padded[1:-1], padded[2:]], dim=1)
