"""Overlapping windows over an image, for networks that see less than the image at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError

WINDOW, STRIDE = 224, 112
"""Side of the published figures' windows, and the step between them, pixels."""


def window_starts(length: int, window: int = WINDOW, stride: int = STRIDE) -> list[int]:
    """Return where the windows of an axis begin; the last one ends with the axis, so it may overlap more.

    Raises:
        InputError: the axis is shorter than a window, or a number is not positive.
    """
    if not 0 < stride <= window <= length:
        raise InputError("windows", f"need stride <= window <= size, got {stride}, {window} and {length} pixels")
    return [*range(0, length - window, stride), length - window]


def windowed_dense(
    dense: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    image: NDArray[np.uint8],
    window: int = WINDOW,
    stride: int = STRIDE,
) -> NDArray[np.float32]:
    """Return an image's dense features, from windows that are averaged where they overlap.

    The means are not scaled to length 1: their product with a text's vector is then the mean of the windows' cosines,
    as in the published figures (images at 1120 x 560 pixels, 36 windows).

    Args:
        dense: maps a (window, window, 3) uint8 RGB image to (rows, columns, D), such as
            ``lambda image: predictor.run(image).dense``.
        image: (H, W, 3) uint8 RGB; H, W, window and stride are multiples of the pixels between two of its features.
        window: side of the windows, pixels.
        stride: step between them, pixels.

    Raises:
        InputError: the windows do not fit the image, or do not fall on the features' grid.
    """
    height, width = image.shape[:2]
    places = [
        (top, left) for top in window_starts(height, window, stride) for left in window_starts(width, window, stride)
    ]
    total: NDArray[np.float32] = np.zeros((0, 0, 0), np.float32)
    count = total
    for top, left in places:
        features = dense(image[top : top + window, left : left + window])
        step = window // features.shape[0]
        if features.shape[0] != features.shape[1] or window % features.shape[0]:
            raise InputError("windows", f"of {window} pixels give {features.shape[0]} x {features.shape[1]} features")
        if any(size % step for size in (height, width, stride)):
            raise InputError("windows", f"height, width and stride must be multiples of {step} pixels")
        if not total.size:
            total = np.zeros((height // step, width // step, features.shape[2]), np.float32)
            count = np.zeros((*total.shape[:2], 1), np.float32)
        part = np.s_[top // step : (top + window) // step, left // step : (left + window) // step]
        total[part] += features
        count[part] += 1.0
    return np.asarray(total / count, np.float32)
