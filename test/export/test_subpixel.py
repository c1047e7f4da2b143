"""Sub-pixel convolutions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from space_clip_ros.export.subpixel import SubpixelConv, SubpixelTransposedConv


@pytest.mark.parametrize("size", [(4, 4), (8, 20)])
def test_equals_the_convolution(size: tuple[int, int]) -> None:
    conv = nn.Conv2d(3, 1, kernel_size=3, padding=1, dtype=torch.float64)
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(SubpixelConv(conv)(features), conv(features), rtol=1e-12, atol=1e-12)


def test_equals_the_transposed_convolution() -> None:
    transposed = nn.ConvTranspose2d(3, 5, kernel_size=2, stride=2, dtype=torch.float64)
    features = torch.randn(2, 3, 4, 7, dtype=torch.float64)
    with torch.inference_mode():
        found = SubpixelTransposedConv(transposed)(features)
        torch.testing.assert_close(found, transposed(features), rtol=1e-12, atol=1e-12)
