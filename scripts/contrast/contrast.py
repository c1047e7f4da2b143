"""How clearly an object stands out in depth from its background."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.metrics import Map
from space_clip_ros.geometry.depth import Mask

FARTHER = 1.2
"""The background is at least this factor farther away than the object."""


class Contrast(NamedTuple):
    """An object's depth and its background's.

    Attributes:
        object_m: median true depth of the object, metres.
        behind_m: median true depth of the background, metres.
        predicted_object_m: median predicted depth of the object, metres.
        predicted_behind_m: median predicted depth of the background, metres.
    """

    object_m: float
    behind_m: float
    predicted_object_m: float
    predicted_behind_m: float

    @property
    def share(self) -> float:
        """The predicted contrast as a share of the true one: 1 if it is right, 0 if the object does not stand out.

        Contrast is the logarithm of the ratio of the two depths, so a factor on all depth changes nothing.
        """
        true = math.log(self.behind_m / self.object_m)
        return math.log(self.predicted_behind_m / self.predicted_object_m) / true


def beside(mask: Mask, depth: Map, gap: int, reach: int) -> Mask:
    """Return the background pixels beside an object, in its rows.

    Args:
        mask: (H, W) bool, the object; not empty.
        depth: (H, W) true metres, NaN where unknown.
        gap: pixels next to the object that are left out on either side.
        reach: how far to go to either side, pixels.

    Returns:
        (H, W) bool, those within reach whose true depth is at least :data:`FARTHER` times the object's median.

    Raises:
        InputError: the object has no pixels, or its depth is not known.
    """
    known = depth[mask & np.isfinite(depth)]
    if not known.size:
        raise InputError("the object has no pixels of known depth")
    distance = float(np.median(known))
    within, too_close = (cv2.dilate(mask.astype(np.uint8), np.ones((1, 2 * n + 1), np.uint8)) for n in (reach, gap))
    return np.asarray((within > too_close) & (depth >= FARTHER * distance))


def contrast(prediction: Map, truth: Map, mask: Mask, behind: Mask, max_depth: float) -> Contrast:
    """Compare an object's depth with its background's.

    Args:
        prediction: (H, W) metres, above 0; depth beyond ``max_depth`` counts as that.
        truth: (H, W) metres, limited likewise.
        mask: (H, W) bool, the object.
        behind: (H, W) bool, its background, see :func:`beside`.
        max_depth: metres.

    Raises:
        InputError: the object or its background has no pixels, a median is NaN or not above 0, or the true object is
            not nearer than its background.
    """
    if not mask.any() or not behind.any():
        raise InputError("the object and its background must have pixels")
    medians = [
        float(np.median(np.minimum(depth[pixels], max_depth)))
        for depth in (truth, prediction)
        for pixels in (mask, behind)
    ]
    result = Contrast(*medians)
    if not all(median > 0 for median in medians) or not result.object_m < result.behind_m:
        raise InputError(f"depth must be above 0 and grow from the object to its background, got {result}")
    return result
