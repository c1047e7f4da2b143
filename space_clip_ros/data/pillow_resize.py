"""Pillow's antialiased bicubic resize of 8-bit images, bit for bit the same, without needing Pillow."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SUPPORT = 2.0
_PRECISION = 1 << 22


def resize_bicubic(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize (H, W, C) uint8 to (height, width, C) uint8 as ``PIL.Image.resize(..., BICUBIC)`` does.

    As in Pillow's ``Resample.c``, the width is resized first, then the height, each pass rounded to 8 bits.
    """
    wide = _pass(image.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return _pass(wide, height)


def _pass(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if image.shape[0] == size:
        return image
    rows = image.reshape(image.shape[0], -1).astype(np.float64)
    # Integers below 2^53 are exact in float64, so this product equals Pillow's integer arithmetic.
    total = _weights(image.shape[0], size) @ rows
    rounded = np.floor((total + _PRECISION // 2) / _PRECISION).clip(0, 255).astype(np.uint8)
    return rounded.reshape(size, *image.shape[1:])


@lru_cache(maxsize=16)
def _weights(source: int, target: int) -> NDArray[np.float64]:
    """Return the (target, source) matrix of Pillow's fixed-point weights."""
    scale = source / target
    stretch = max(scale, 1.0)
    matrix = np.zeros((target, source))
    for row in range(target):
        centre = (row + 0.5) * scale
        first = max(int(centre - _SUPPORT * stretch + 0.5), 0)
        last = min(int(centre + _SUPPORT * stretch + 0.5), source)
        weights = _cubic((np.arange(first, last) - centre + 0.5) / stretch)
        matrix[row, first:last] = weights / weights.sum()
    return np.asarray(np.trunc(matrix * _PRECISION + np.copysign(0.5, matrix)), np.float64)


def _cubic(offsets: NDArray[Any]) -> NDArray[Any]:
    """Return Keys' cubic convolution kernel with a = -0.5 (Keys, IEEE TASSP 1981)."""
    x = np.abs(offsets)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
