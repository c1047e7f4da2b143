"""Where the errors are: by distance and by region of the image, averaged over pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.evaluation.distance_bands import error_sums
from space_clip_ros.evaluation.metrics import comparable
from space_clip_ros.geometry.depth import Depth

EDGES_M = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0)
"""Bounds of the ranges of distance, metres; the last range includes everything beyond."""

ROWS, COLUMNS = 4, 8
"""Rows and columns of image regions."""


class MeanErrors(NamedTuple):
    """Mean errors of some pixels, with p the prediction and t the truth; NaN if there are no pixels.

    Attributes:
        pixels: how many.
        abs_rel: mean of \\|p - t\\| / t.
        bias: mean of (p - t) / t; above 0 if depth is too far.
        a1: share of pixels with max(p / t, t / p) < 1.25.
    """

    pixels: int
    abs_rel: float
    bias: float
    a1: float


class ErrorsByPlace:
    """Adds up the errors of pixels, frame by frame.

    Args:
        min_depth: truth must be above this, metres; the prediction is clipped to it.
        max_depth: truth must be below this, metres; the prediction is clipped to it.
        crop: region of the image that counts by distance, as in :mod:`space_clip_ros.evaluation.metrics`; by region,
            the whole image counts.
    """

    def __init__(self, min_depth: float, max_depth: float, crop: str) -> None:
        """Start with no frames."""
        self._range = (min_depth, max_depth)
        self._crop = crop
        self._distances = np.zeros((4, len(EDGES_M) - 1))
        self._regions = np.zeros((4, ROWS * COLUMNS))

    def add(self, prediction: Depth, truth: Depth) -> None:
        """Add a frame; both are (H, W) float32 metres, NaN unknown.

        Raises:
            InputError: their sizes differ.
        """
        mask = comparable(prediction, truth, *self._range, self._crop)
        ranges = np.digitize(truth[mask], EDGES_M[1:-1])
        self._distances += self._sums(prediction[mask], truth[mask], ranges, len(EDGES_M) - 1)
        mask = comparable(prediction, truth, *self._range)
        rows, columns = np.nonzero(mask)
        height, width = truth.shape
        regions = rows * ROWS // height * COLUMNS + columns * COLUMNS // width
        self._regions += self._sums(prediction[mask], truth[mask], regions, ROWS * COLUMNS)

    def by_distance(self) -> list[MeanErrors]:
        """Return the errors of each range between two of :data:`EDGES_M`."""
        return _means(self._distances)

    def by_region(self) -> list[MeanErrors]:
        """Return the errors of :data:`ROWS` x :data:`COLUMNS` regions, row by row from the top left."""
        return _means(self._regions)

    def _sums(self, prediction: Depth, truth: Depth, places: NDArray[np.intp], count: int) -> NDArray[np.float64]:
        return error_sums(np.clip(prediction.astype(np.float64), *self._range), truth.astype(np.float64), places, count)


def _means(sums: NDArray[np.float64]) -> list[MeanErrors]:
    with np.errstate(invalid="ignore"):
        means = sums[1:] / sums[0]
    return [MeanErrors(int(pixels), *column.tolist()) for pixels, column in zip(sums[0], means.T, strict=True)]
