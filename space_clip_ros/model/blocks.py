"""Building blocks of the decoder and the depth heads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_LOG_LIMITS = (-4.6, 7.0)
_LOG_SCALE_LIMITS = (-7.0, 3.0)
_INITIAL_LOG_SCALE = -2.0


def resize_bilinear(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (B, C, h, w) maps to (B, C, *size), with ``align_corners=False``."""
    return functional.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


class ConvNormReLU(nn.Module):
    """3x3 convolution without bias, batch norm, ReLU; keeps the size unless it has a stride."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        """Create the layers for the given numbers of channels."""
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, h / stride, w / stride)."""
        return functional.relu(self.norm(self.conv(features)))


class Upsample(nn.Module):
    """Doubles the size with a 2x2 transposed convolution, then smooths with :class:`ConvNormReLU`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Create the layers for the given numbers of channels."""
        super().__init__()
        self.transposed = nn.ConvTranspose2d(in_channels, out_channels, kernel_size=2, stride=2)
        self.smooth = ConvNormReLU(out_channels, out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, out_channels, 2h, 2w)."""
        return cast(Tensor, self.smooth(self.transposed(features)))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and an identity shortcut; dropout between them."""

    def __init__(self, channels: int, dropout: float) -> None:
        """Create the layers; ``dropout`` is the probability in training."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels, h, w) to the same shape."""
        inner = self.dropout(functional.relu(self.norm1(self.conv1(features))))
        return functional.relu(features + self.norm2(self.conv2(inner)))


class Film(nn.Module):
    """Feature-wise linear modulation (Perez et al., 2018): the context vector scales and shifts every token channel."""

    def __init__(self, width: int, hidden: int) -> None:
        """Create the two-layer perceptron: context of ``width`` channels, ``hidden`` units, gamma and beta."""
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.modulation = nn.Linear(hidden, 2 * width)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """Return ``gamma * tokens + beta`` for tokens (B, N, width) and context (B, width)."""
        gamma, beta = self.modulation(functional.relu(self.hidden(context))).unsqueeze(1).chunk(2, dim=-1)
        return cast(Tensor, gamma * tokens + beta)


class StructuralBlock(nn.Module):
    """Upsample the running feature and fuse it with a shallow tower state's map."""

    def __init__(self, in_channels: int, channels: int) -> None:
        """Create the layers.

        Args:
            in_channels: channels of the running feature.
            channels: channels of the skip and of the result.
        """
        super().__init__()
        self.upsample = Upsample(in_channels, channels)
        self.fuse = ConvNormReLU(2 * channels, channels)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        """Map low (B, in_channels, h, w) and skip (B, channels, any size) to (B, channels, 2h, 2w)."""
        high = self.upsample(low)
        return cast(Tensor, self.fuse(torch.cat([high, resize_bilinear(skip, high.shape[2:])], dim=1)))


class GatedSkip(nn.Module):
    """Scale a skip by ``1 + sigmoid(1x1 convolution of the upsampled feature)``, channel by channel."""

    def __init__(self, channels: int, skip_channels: int) -> None:
        """Create the gate from the upsampled feature's ``channels`` to one per channel of the skip."""
        super().__init__()
        self.gate = nn.Conv2d(channels, skip_channels, kernel_size=1)

    def forward(self, high: Tensor, skip: Tensor) -> Tensor:
        """Return skip (B, skip_channels, any size) at high's size, gated by high (B, channels, H, W)."""
        resized = resize_bilinear(skip, high.shape[2:])
        # The same as resized * (1.0 + gate), but ONNX Runtime leaves its fast memory layout to add a constant.
        return resized + resized * torch.sigmoid(self.gate(high))


class SemanticBlock(nn.Module):
    """Upsample and fuse with a gated deep tower state's map and, except in the last block, a structural feature."""

    def __init__(self, in_channels: int, channels: int, structural_channels: int, dropout: float) -> None:
        """Create the layers; ``structural_channels`` 0 means no structural skip."""
        super().__init__()
        self.upsample = Upsample(in_channels, channels)
        self.semantic_skip = GatedSkip(channels, channels)
        self.structural_skip = GatedSkip(channels, structural_channels) if structural_channels else None
        self.fuse = ConvNormReLU(2 * channels + structural_channels, channels)
        self.residual = ResidualBlock(channels, dropout)

    def forward(self, low: Tensor, semantic: Tensor, structural: Tensor | None) -> Tensor:
        """Map low (B, in_channels, h, w) and skips of any size to (B, channels, 2h, 2w)."""
        high = self.upsample(low)
        features = [high, self.semantic_skip(high, semantic)]
        if self.structural_skip is not None:
            features.append(self.structural_skip(high, structural))
        return cast(Tensor, self.residual(self.fuse(torch.cat(features, dim=1))))


class DepthHead(nn.Module):
    """Turns a feature into metres: :class:`ConvNormReLU`, a convolution to one channel, then ReLU or exponential."""

    def __init__(self, in_channels: int, hidden: int, kernel_size: int, kind: str = "linear") -> None:
        """Create the layers.

        Args:
            in_channels: channels of the feature.
            hidden: channels of the layer before the last.
            kernel_size: of the last convolution.
            kind: ``linear`` predicts metres, ``log`` their logarithm.
        """
        super().__init__()
        self.kind = kind
        self.refine = ConvNormReLU(in_channels, hidden)
        self.depth = nn.Conv2d(hidden, 1, kernel_size=kernel_size, padding=kernel_size // 2)
        # With a bias near 0, the last ReLU zeroes most pixels (for some seeds nearly all), and those get no gradient.
        nn.init.ones_(cast(Tensor, self.depth.bias))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to depth (B, 1, h, w), metres, at least 0."""
        value: Tensor = self.depth(self.refine(features))
        if self.kind == "linear":
            return functional.relu(value)
        # The limits, 0.01 and 1100 m, keep a stray value finite in half precision too.
        return value.float().clamp(*_LOG_LIMITS).exp()

    @torch.no_grad()
    def scale(self, factor: float) -> None:
        """Make the head predict ``factor`` times the depth; the factor must be above 0."""
        bias = cast(Tensor, self.depth.bias)
        if self.kind == "log":
            bias.add_(math.log(factor))
        else:
            self.depth.weight.mul_(factor)
            bias.mul_(factor)


class UncertaintyHead(nn.Module):
    """Predicts how far off depth may be: the scale of a Laplace distribution over log depth.

    It halves the feature's size. On real frames that ranks errors as well as at full size, at a quarter of the cost.
    """

    def __init__(self, in_channels: int, hidden: int) -> None:
        """Create the layers.

        Args:
            in_channels: channels of the feature.
            hidden: channels of the layer before the last.
        """
        super().__init__()
        self.refine = ConvNormReLU(in_channels, hidden, stride=2)
        self.log_scale = nn.Conv2d(hidden, 1, kernel_size=3, padding=1)
        nn.init.constant_(cast(Tensor, self.log_scale.bias), _INITIAL_LOG_SCALE)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in_channels, 2h, 2w) to the scale (B, 1, h, w), above 0, in units of log depth."""
        value: Tensor = self.log_scale(self.refine(features))
        return value.float().clamp(*_LOG_SCALE_LIMITS).exp()
