"""Draws image, prediction, truth and error of a frame as one picture, with fixed colour scales."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.color import colorize

_NEAREST_DRAWN_M = 1.0
_ERROR_RANGE = (0.01, 0.5)
_DOT = 3


def comparison(
    image: NDArray[np.uint8],
    prediction: NDArray[np.float32],
    truth: NDArray[np.float32],
    max_depth: float,
) -> NDArray[np.uint8]:
    """Return a picture of image, prediction, truth and relative error, stacked from top to bottom.

    Args:
        image: (H, W, 3) uint8 RGB.
        prediction: (h, w) float32 metres.
        truth: (h, w) float32 metres, NaN where unknown; each pixel is drawn 3 x 3 so that sparse depth is visible.
        max_depth: far end of the colour scale, metres; its near end is 1 m.

    Returns:
        (4 H, W, 3) uint8 RGB.
    """
    with np.errstate(invalid="ignore"):
        error = np.abs(prediction - truth) / truth
    panels = [
        image,
        colorize(prediction, "turbo", _NEAREST_DRAWN_M, max_depth),
        colorize(_thicken(truth), "turbo", _NEAREST_DRAWN_M, max_depth),
        # The colour map draws small numbers bright; for errors the large ones should be bright. The clip comes last:
        # a sum that rounds to just below the range would be drawn black.
        colorize(np.clip(sum(_ERROR_RANGE) - _thicken(error), *_ERROR_RANGE), "inferno", *_ERROR_RANGE),
    ]
    height, width = image.shape[:2]
    resized = [cv2.resize(panel, (width, height), interpolation=cv2.INTER_NEAREST) for panel in panels]
    return np.vstack(resized).astype(np.uint8)


def _thicken(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draw each known pixel 3 x 3; where several overlap, the largest wins."""
    known = ~np.isnan(values)
    grown = cv2.dilate(np.where(known, values, 0.0).astype(np.float32), np.ones((_DOT, _DOT), np.uint8))
    return np.where(grown > 0.0, grown, np.float32(np.nan)).astype(np.float32)
