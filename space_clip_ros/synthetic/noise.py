"""Seeded random noise: tileable fields for textures, smooth curves for roads and slopes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Field = NDArray[np.float32]


def fractal(
    rng: Rng, size: int, coarse: int = 4, octaves: int = 5, persistence: float = 0.6, channels: int = 1
) -> Field:
    """Return a tileable (size, size) float32 noise field of zero mean and unit standard deviation.

    Args:
        rng: source of randomness.
        size: side, pixels, a power of two.
        coarse: cells per side of the coarsest octave, a power of two.
        octaves: number of octaves; each has twice the cells of the one before.
        persistence: amplitude of an octave relative to the one before.
        channels: number of fields; above 1, the result is (size, size, channels).
    """
    shape = () if channels == 1 else (channels,)
    total = np.zeros((size, size, *shape), np.float32)
    cells, amplitude = coarse, 1.0
    for _ in range(octaves):
        if cells > size:
            break
        octave = enlarge(rng.standard_normal((cells, cells, *shape), dtype=np.float32), size)
        octave *= np.float32(amplitude)
        total += octave
        cells, amplitude = cells * 2, amplitude * persistence
    mean, deviation = cv2.meanStdDev(total.reshape(size, -1))
    total -= np.float32(mean.item())
    total *= np.float32(1 / (deviation.item() + 1e-6))
    return total


def enlarge(grid: Field, size: int) -> Field:
    """Return a square grid enlarged bilinearly to ``size`` pixels per side; it stays tileable."""
    cells = grid.shape[0]
    if cells >= size:
        return grid
    factor = size // cells
    padded = cv2.copyMakeBorder(grid, 1, 1, 1, 1, cv2.BORDER_WRAP)
    wide = cv2.resize(padded, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return np.asarray(wide[factor : factor + size, factor : factor + size], np.float32)


def smooth_curve(rng: Rng, count: int, wavelength: float) -> NDArray[np.float64]:
    """Return ``count`` values of a smooth random curve of zero mean and about unit size.

    Args:
        rng: source of randomness.
        count: number of samples, one per unit of length.
        wavelength: distance between independent values, in the same unit.
    """
    knots = rng.standard_normal(int(count / wavelength) + 5)
    at = np.arange(count) / wavelength + 1.0
    cell = at.astype(int)
    t = at - cell
    before, start, end, after = (knots[cell + shift] for shift in (-1, 0, 1, 2))
    return np.asarray(  # uniform cubic B-spline
        (
            before * (1 - t) ** 3
            + start * (3 * t**3 - 6 * t**2 + 4)
            + end * (-3 * t**3 + 3 * t**2 + 3 * t + 1)
            + after * t**3
        )
        / 6
        * 1.6
    )
