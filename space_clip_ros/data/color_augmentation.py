"""Random colour augmentation of an image: gamma, brightness, colour, saturation, blur, noise and erasing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.training_config import AugmentationConfig

_BLUR_SIGMA = (0.3, 1.2)
_ERASED_SHARE = (0.1, 0.4)
_SPECTRUM_REACH = (0.005, 0.04)
_SPECTRUM_SHARE = (0.3, 1.0)


def augment_color(image: NDArray[np.uint8], config: AugmentationConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image with its colours changed at random; its geometry stays.

    Args:
        image: (H, W, 3) uint8 RGB; not modified.
        config: probabilities and ranges.
        rng: the only source of randomness.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if rng.random() < config.color:
        image = np.asarray(cv2.LUT(image, _table(config, rng)), np.uint8)
        image = _saturate(image, rng.uniform(*config.saturation))
    if rng.random() < config.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(*_BLUR_SIGMA)), np.uint8)
    if config.noise:
        grain = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(0.0, config.noise))
        image = (image + grain).round().clip(0, 255).astype(np.uint8)
    if rng.random() < config.erase:
        image = _erase(image, rng)
    return image


def borrow_spectrum(image: NDArray[np.uint8], other: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Give an image the low-frequency amplitudes of another image; its phases stay.

    Its shapes then have the other's colours, brightness and haze (FDA, Yang and Soatto, 2020, arXiv:2004.05498).

    Args:
        image: (H, W, 3) uint8 RGB.
        other: (any height, any width, 3) uint8 RGB.
        rng: the only source of randomness; it decides how many frequencies are taken, and how much of them.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    reach, share = rng.uniform(*_SPECTRUM_REACH), rng.uniform(*_SPECTRUM_SHARE)
    rows, columns = max(round(reach * height), 1), max(round(reach * width), 1)
    if other.shape != image.shape:
        other = np.asarray(cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    own, theirs = (np.fft.rfft2(picture.astype(np.float32), axes=(0, 1)) for picture in (image, other))
    for low in (np.s_[:rows, :columns], np.s_[-rows:, :columns]):
        amplitude = np.abs(own[low])
        own[low] *= (1.0 - share) + share * np.abs(theirs[low]) / np.maximum(amplitude, 1.0)
    changed = np.fft.irfft2(own, s=(height, width), axes=(0, 1))
    return np.asarray(changed.round().clip(0, 255), np.uint8)


def _table(config: AugmentationConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a (1, 256, 3) uint8 look-up table: gamma, contrast about mid grey, brightness, a factor per channel."""
    levels = np.linspace(0.0, 1.0, 256) ** rng.uniform(*config.gamma)
    levels = (levels - 0.5) * rng.uniform(*config.contrast) + 0.5
    factors = rng.uniform(*config.brightness) * rng.uniform(*config.tint, size=3)
    return (levels[None, :, None] * factors * 255.0).round().clip(0, 255).astype(np.uint8)


def _saturate(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    if factor == 1.0:
        return image
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, factor, grey, 1.0 - factor, 0.0), np.uint8)


def _erase(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image with a random rectangle painted in its mean colour."""
    size = np.array(image.shape[:2])
    extent = (size * rng.uniform(*_ERASED_SHARE, size=2)).astype(int)
    top, left = rng.integers(0, size - extent + 1)
    erased = image.copy()
    erased[top : top + extent[0], left : left + extent[1]] = image.mean(axis=(0, 1)).round()
    return erased
