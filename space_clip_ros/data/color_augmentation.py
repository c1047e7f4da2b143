"""Random colour augmentation of an image: gamma, brightness, colour, saturation, blur, noise and erasing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.training_config import AugmentationConfig

_BLUR_SIGMA = (0.3, 1.2)
_ERASED_SHARE = (0.1, 0.4)


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
