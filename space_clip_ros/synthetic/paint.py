"""Small tools that textures are painted with."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.synthetic.noise import Rng, enlarge, fractal

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
    picture = enlarge(fractal(rng, min(size, 32), coarse, 3, channels=3), size) * np.float32(hue)
    picture += shared
    picture *= np.float32(contrast)
    picture += 1
    picture *= np.asarray(color, np.float32)
    return picture


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
    texture = np.empty((*picture.shape[:2], 4), np.uint8)
    texture[..., :3] = picture.clip(0, 255)
    texture[..., 3] = 255 if opacity is None else (opacity * 255.0).clip(0, 255)
    return texture


def tinted(picture: Picture, body: Color) -> Texture:
    """Return RGBA whose alpha says where the picture still has the colour ``body`` in any shade, to be tinted."""
    # Channel by channel: reductions over an axis of three are slow.
    red, green, blue = np.moveaxis(picture, -1, 0)
    mean = (red + green + blue) / np.float32(3)
    is_body = mean > 0.55 * np.mean(body)
    for channel in (red, green, blue):
        is_body &= np.abs(channel - mean) < 4
    return finish(picture, is_body.astype(np.float32))


def shuffled_color(rng: Rng, color: Color, spread: float = 0.15) -> NDArray[np.float64]:
    """Return a color whose brightness and channels differ a little from the one given."""
    return np.asarray(color) * rng.normal(1.0, spread) * rng.normal(1.0, spread / 4, 3)
