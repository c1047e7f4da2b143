"""Small tools that textures are painted with."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.scenery.noise import Rng, enlarge, fractal

Color = Sequence[float] | NDArray[np.floating]
Picture = NDArray[np.float32]
Texture = NDArray[np.uint8]
Opacity = NDArray[np.floating]

SIZE = 256
"""Pixels a side of most textures."""


def plain(color: Color, size: int = SIZE) -> Picture:
    """Return a (size, size, 3) float32 picture of one RGB color, 0-255."""
    return np.full((size, size, 3), color, np.float32)


def grained(rng: Rng, color: Color, contrast: float, coarse: int = 4, size: int = SIZE, hue: float = 0.12) -> Picture:
    """Return a color that varies by multi-scale noise.

    Args:
        rng: source of randomness.
        color: mean RGB, 0-255.
        contrast: standard deviation over the mean.
        coarse: cells a side of the coarsest noise.
        size: pixels a side.
        hue: how much of the variation differs between channels.
    """
    shared = fractal(rng, size, coarse, 7, 0.75)[..., None]
    tone = enlarge(fractal(rng, min(size, 32), coarse, 3, channels=3), size)
    picture = np.asarray(color, np.float32) * (1 + np.float32(contrast) * (shared + np.float32(hue) * tone))
    return np.asarray(picture, np.float32)


def rectangle(picture: Picture, left: float, top: float, right: float, bottom: float, color: Color) -> None:
    """Fill a rectangle given in fractions of the picture's size; values are set, whatever the number of channels."""
    size = picture.shape[0]
    rows = slice(round(top * size), max(round(bottom * size), round(top * size) + 1))
    columns = slice(round(left * size), max(round(right * size), round(left * size) + 1))
    picture[rows, columns] = color


def polygon(picture: Picture, corners: Sequence[tuple[float, float]], color: Color) -> None:
    """Fill a polygon given in fractions of the picture's size."""
    points = np.round(np.asarray(corners) * picture.shape[0] * 16).astype(np.int32)
    cv2.fillPoly(picture, [points], tuple(float(value) for value in color), lineType=cv2.LINE_AA, shift=4)


def disc(picture: Picture, x: float, y: float, radius: float, color: Color) -> None:
    """Fill a disc given in fractions of the picture's size."""
    size = picture.shape[0]
    center = (round(x * size * 16), round(y * size * 16))
    cv2.circle(picture, center, round(radius * size * 16), tuple(map(float, color)), -1, cv2.LINE_AA, shift=4)


def finish(picture: Picture, opacity: Opacity | None = None) -> Texture:
    """Return (S, S, 4) uint8 RGBA of a float picture and opacity in [0, 1] (solid where None)."""
    size = picture.shape[0]
    alpha = np.full((size, size, 1), 255, np.float32) if opacity is None else opacity[..., None] * 255.0
    return np.asarray(np.concatenate([picture, alpha], axis=-1).clip(0, 255), np.uint8)


def tinted(picture: Picture, body: Color) -> Texture:
    """Return RGBA whose alpha says where the picture still has the colour ``body`` in any shade, to be tinted."""
    deviation = np.abs(picture - picture.mean(axis=-1, keepdims=True)).max(axis=-1)
    is_body = (deviation < 4) & (picture.mean(axis=-1) > 0.55 * np.mean(body))
    return finish(picture, is_body.astype(np.float32))


def shuffled_color(rng: Rng, color: Color, spread: float = 0.15) -> NDArray[np.float64]:
    """Return a color whose brightness and channels differ a little from the one given."""
    return np.asarray(color) * rng.normal(1.0, spread) * rng.normal(1.0, spread / 4, 3)
