"""Fewer and larger kernels for a GPU: the same network with steps merged that a GPU launches one by one.

A launch costs a GPU some microseconds, more than the work of most steps of this network. So a convolution, its bias,
the sum of a shortcut and the ReLU are one kernel of cuDNN; 1x1 convolutions and the patch embedding are matrix products
with the bias in them; the perceptrons of all FiLM levels, which read the same vector, run together; and both gates of a
block are one product. Depth differs by rounding only. :mod:`space_clip_ros.export.simplify` is for CPUs instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from space_clip_ros.errors import first_line
from space_clip_ros.model.blocks import ConvNormReLU, Film, ResidualBlock, SemanticBlock, resize_bilinear
from space_clip_ros.model.space_clip import SpaceClip

_LOG = logging.getLogger(__name__)


@torch.no_grad()
def fuse(model: SpaceClip) -> None:
    """Merge steps of a model in place. Afterwards it cannot be trained or saved.

    Args:
        model: after :func:`~space_clip_ros.model.half.fold_norms`, before :func:`~space_clip_ros.model.half.halve`.
    """
    decoder = model.decoder
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ConvNormReLU):
                setattr(module, name, FusedConv(child.conv))
            elif isinstance(child, ResidualBlock):
                setattr(module, name, FusedResidual(child))
    for index, block in enumerate(decoder.semantic_blocks):
        decoder.semantic_blocks[index] = FusedSemanticBlock(cast(SemanticBlock, block))
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
                setattr(module, name, PointwiseConv([child]))
    if len(decoder.film):
        decoder.film_bank = FilmBank([cast(Film, film) for film in decoder.film])
        decoder.film = nn.ModuleList()
    tower: Any = model.encoder.tower
    if model.config.encoder.kind == "clip":
        tower.conv1 = PatchProduct(tower.conv1)
    else:
        tower.patch_embed.proj = PatchProduct(tower.patch_embed.proj)


class FusedConv(nn.Module):
    """A convolution with its bias, an optional sum, and ReLU in one kernel, where cuDNN has one."""

    def __init__(self, conv: nn.Conv2d) -> None:
        """Take a convolution whose batch norm is folded into it."""
        super().__init__()
        self.conv = conv
        self._one_kernel = True

    def forward(self, features: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, h, w), at least 0.

        Args:
            features: the convolution's input.
            shortcut: is added to its result; of the result's shape.
        """
        # A compiler has no such kernel, and adds bias, shortcut and ReLU in one of its own.
        tries = self._one_kernel and not torch.compiler.is_compiling()
        if tries and features.is_cuda and self.conv.weight.dtype == torch.float16:
            try:
                return self._by_cudnn(features.to(torch.float16), shortcut)
            except RuntimeError as error:
                # Not every cuDNN has such a kernel for every shape and GPU.
                self._one_kernel = False
                _LOG.info("a convolution and its ReLU run as separate kernels (%s)", first_line(error))
        convolved: Tensor = self.conv(features)
        return functional.relu(convolved if shortcut is None else shortcut + convolved)

    def _by_cudnn(self, features: Tensor, shortcut: Tensor | None) -> Tensor:
        conv = self.conv
        layout = (conv.stride, conv.padding, conv.dilation, conv.groups)
        library: Any = torch
        if shortcut is None:
            return cast(Tensor, library.cudnn_convolution_relu(features, conv.weight, conv.bias, *layout))
        return cast(
            Tensor, library.cudnn_convolution_add_relu(features, conv.weight, shortcut, 1.0, conv.bias, *layout)
        )


class FusedResidual(nn.Module):
    """A :class:`~space_clip_ros.model.blocks.ResidualBlock` of two kernels."""

    def __init__(self, block: ResidualBlock) -> None:
        """Take a block whose batch norms are folded."""
        super().__init__()
        self.first, self.second = FusedConv(block.conv1), FusedConv(block.conv2)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels, h, w) to the same shape."""
        return cast(Tensor, self.second(self.first(features), features))


class PointwiseConv(nn.Module):
    """Runs 1x1 convolutions of the same input as one matrix product, whose bias needs no extra kernel."""

    def __init__(self, convolutions: list[nn.Conv2d]) -> None:
        """Take 1x1 convolutions, whose output channels are joined."""
        super().__init__()
        outputs, device = sum(one.out_channels for one in convolutions), convolutions[0].weight.device
        self.linear = nn.Linear(convolutions[0].in_channels, outputs, device=device)
        self.linear.weight.copy_(torch.cat([one.weight[:, :, 0, 0] for one in convolutions]))
        self.linear.bias.copy_(torch.cat([cast(Tensor, one.bias) for one in convolutions]))
        self.linear.requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, h, w), channels-last in memory."""
        batch, channels, height, width = features.shape
        places = features.permute(0, 2, 3, 1).to(self.linear.weight.dtype).reshape(-1, channels)
        return cast(Tensor, self.linear(places)).reshape(batch, height, width, -1).permute(0, 3, 1, 2)


class FusedSemanticBlock(nn.Module):
    """A :class:`~space_clip_ros.model.blocks.SemanticBlock` with one product for all gates."""

    def __init__(self, block: SemanticBlock) -> None:
        """Take a block whose convolutions are fused already."""
        super().__init__()
        self.upsample, self.fuse, self.residual = block.upsample, block.fuse, block.residual
        skips = [one for one in (block.semantic_skip, block.structural_skip) if one is not None]
        self.channels = [skip.gate.out_channels for skip in skips]
        self.gates = PointwiseConv([skip.gate for skip in skips])

    def forward(self, low: Tensor, semantic: Tensor, structural: Tensor | None) -> Tensor:
        """Map low (B, in_channels, h, w) and skips of any size to (B, channels, 2h, 2w)."""
        high: Tensor = self.upsample(low)
        gates = torch.split(torch.sigmoid(self.gates(high)), self.channels, dim=1)
        skips = [semantic] if structural is None else [semantic, structural]
        sized = [skip if skip.shape[2:] == high.shape[2:] else resize_bilinear(skip, high.shape[2:]) for skip in skips]
        gated = [torch.addcmul(skip, skip, gate) for skip, gate in zip(sized, gates, strict=False)]
        return cast(Tensor, self.residual(self.fuse(torch.cat([high, *gated], dim=1))))


class FilmBank(nn.Module):
    """The perceptrons of several :class:`~space_clip_ros.model.blocks.Film` of one context, in two products.

    A hidden unit that is always one carries the second layer's bias.

    Attributes:
        stored: type of the result.
    """

    hidden: Tensor
    bias: Tensor
    modulation: Tensor

    def __init__(self, films: list[Film]) -> None:
        """Join the layers; they stay in float32."""
        super().__init__()
        self.levels, self.stored = len(films), torch.float32
        hidden = [functional.pad(film.hidden.weight, (0, 0, 0, 1)) for film in films]
        bias = [functional.pad(film.hidden.bias, (0, 1), value=1.0) for film in films]
        modulation = [torch.cat([film.modulation.weight.T, cast(Tensor, film.modulation.bias)[None]]) for film in films]
        self.register_buffer("hidden", torch.cat(hidden))
        self.register_buffer("bias", torch.cat(bias))
        self.register_buffer("modulation", torch.stack(modulation))

    def forward(self, states: list[Tensor], context: Tensor) -> list[Tensor]:
        """Scale and shift tokens, one (B, N, width) for each level, by what the context (B, width) says."""
        hidden = functional.relu(functional.linear(context, self.hidden, self.bias))
        by_level = hidden.reshape(len(context), self.levels, -1).transpose(0, 1)
        gammas, betas = torch.bmm(by_level, self.modulation).unsqueeze(2).chunk(2, dim=-1)
        return [self._scaled(*parts) for parts in zip(states, gammas, betas, strict=True)]

    def _scaled(self, tokens: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return in_one_kernel(tokens, self.stored, torch.addcmul, beta, gamma, tokens)


class PatchProduct(nn.Module):
    """Computes the patch embedding as one matrix product, after one copy that gathers the patches.

    Attributes:
        limits: range that the images' values are clamped to; infinite for normalised images.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        """Take the patch embedding, a convolution whose stride is its kernel's size."""
        super().__init__()
        width, channels, self.side, _ = conv.weight.shape
        self.linear = nn.Linear(channels * self.side**2, width, device=conv.weight.device).requires_grad_(False)
        self.linear.weight.copy_(conv.weight.flatten(1))
        self.linear.bias.copy_(torch.zeros(width) if conv.bias is None else conv.bias)
        self.limits = (-torch.inf, torch.inf)

    @torch.no_grad()
    def fold(self, gain: Tensor, offset: Tensor, limits: tuple[float, float]) -> None:
        """Make it take images that are not normalised: it embeds ``gain * image + offset``, clamped to ``limits``.

        Args:
            gain: (3,), for each channel.
            offset: (3,).
            limits: the least and largest value of an image.
        """
        weight = self.linear.weight.reshape(len(self.linear.weight), 3, -1)
        self.linear.bias.add_((weight.sum(dim=2) * offset).sum(dim=1))
        self.linear.weight.copy_((weight * gain[:, None]).flatten(1))
        self.limits = limits

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to patches (B, width, H / side, W / side), channels-last in memory."""
        batch, channels, height, width = images.shape
        rows, columns, side = height // self.side, width // self.side, self.side
        patches = images.reshape(batch, channels, rows, side, columns, side).permute(0, 2, 4, 1, 3, 5)
        gathered = in_one_kernel(patches, images.dtype, torch.clamp, patches, *self.limits)
        embedded: Tensor = self.linear(gathered.reshape(batch * rows * columns, -1))
        return embedded.reshape(batch, rows, columns, -1).permute(0, 3, 1, 2)


def in_one_kernel(
    like: Tensor, dtype: torch.dtype, operation: Callable[..., Tensor], *operands: Tensor | float
) -> Tensor:
    """Compute an operation on each number, convert the result and bring it into order in memory, all in one kernel.

    Args:
        like: has the result's shape and device.
        dtype: the result's type; the operation itself is computed in that of its operands.
        operation: such as ``torch.addcmul``.
        operands: the operation's.

    Returns:
        The result, contiguous.
    """
    if torch.compiler.is_compiling():
        # A compiler merges these steps itself, and ignores the memory layout of ``out``.
        return operation(*operands).to(dtype).contiguous()
    return operation(*operands, out=torch.empty(like.shape, dtype=dtype, device=like.device))
