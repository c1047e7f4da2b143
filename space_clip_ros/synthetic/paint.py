"""Painting textures: colours, noise, rectangles, polygons, discs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.synthetic.noise import Rng, enlarge, fractal

Color = Sequence[float] | NDArray[np.floating]
FloatImage = NDArray[np.float32]
Texture = NDArray[np.uint8]
Opacity = NDArray[np.floating]

SIZE = 256
"""Side of most textures, pixels."""


def plain(color: Color, size: int = SIZE) -> FloatImage:
    """Return a (size, size, 3) float32 image of one RGB color, 0-255."""
    return np.full((size, size, 3), color, np.float32)


def grained(
    rng: Rng, color: Color, contrast: float, coarse: int = 4, size: int = SIZE, hue: float = 0.12
) -> FloatImage:
    """Return a (size, size, 3) float32 RGB image of one color varied by multi-scale noise.

    Args:
        rng: source of randomness.
        color: mean RGB, 0-255.
        contrast: standard deviation relative to the mean.
        coarse: cells per side of the coarsest noise.
        size: side, pixels.
        hue: amplitude of the variation between channels relative to the one they share.
    """
    shared = fractal(rng, size, coarse, 7, 0.75)[..., None]
    image = enlarge(fractal(rng, min(size, 32), coarse, 3, channels=3), size) * np.float32(hue)
    image += shared
    image *= np.float32(contrast)
    image += 1
    image *= np.asarray(color, np.float32)
    return image


def rectangle(image: FloatImage, left: float, top: float, right: float, bottom: float, color: Color) -> None:
    """Fill a rectangle given in fractions of the image's size; ``color`` has one value per channel."""
    size = image.shape[0]
    rows = slice(round(top * size), max(round(bottom * size), round(top * size) + 1))
    columns = slice(round(left * size), max(round(right * size), round(left * size) + 1))
    image[rows, columns] = color


def polygon(image: FloatImage, corners: Sequence[tuple[float, float]], color: Color) -> None:
    """Fill a polygon given in fractions of the image's size."""
    points = np.round(np.asarray(corners) * image.shape[0] * 16).astype(np.int32)
    cv2.fillPoly(image, [points], tuple(float(value) for value in color), lineType=cv2.LINE_AA, shift=4)


def disc(image: FloatImage, x: float, y: float, radius: float, color: Color) -> None:
    """Fill a disc given in fractions of the image's size."""
    size = image.shape[0]
    center = (round(x * size * 16), round(y * size * 16))
    cv2.circle(image, center, round(radius * size * 16), tuple(map(float, color)), -1, cv2.LINE_AA, shift=4)


def finish(image: FloatImage, opacity: Opacity | None = None) -> Texture:
    """Return (S, S, 4) uint8 RGBA of a float image and opacity in [0, 1] (solid where None)."""
    texture = np.empty((*image.shape[:2], 4), np.uint8)
    texture[..., :3] = image.clip(0, 255)
    texture[..., 3] = 255 if opacity is None else (opacity * 255.0).clip(0, 255)
    return texture


def tinted(image: FloatImage, body: Color) -> Texture:
    """Return RGBA whose alpha is 255 where the image shows ``body``, a gray, in any bright shade: there tints apply."""
    # Channel by channel: reductions over an axis of three are slow.
    red, green, blue = np.moveaxis(image, -1, 0)
    mean = (red + green + blue) / np.float32(3)
    is_body = mean > 0.55 * np.mean(body)
    for channel in (red, green, blue):
        is_body &= np.abs(channel - mean) < 4
    return finish(image, is_body.astype(np.float32))


def shuffled_color(rng: Rng, color: Color, deviation: float = 0.15) -> NDArray[np.float64]:
    """Return a color whose brightness and channels differ a little from the one given."""
    return np.asarray(color) * rng.normal(1.0, deviation) * rng.normal(1.0, deviation / 4, 3)
