"""Where the errors are: by distance and by region of the image, over every pixel compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.evaluation.metrics import comparable
from space_clip_ros.geometry.depth import Depth

EDGES_M = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0)
"""Bounds of the distances told apart, metres; what is beyond the last one counts with it."""

ROWS, COLUMNS = 4, 8
"""Regions of the image."""


class Errors(NamedTuple):
    """Errors over some pixels; NaN where there are none.

    Attributes:
        pixels: how many.
        abs_rel: mean of \\|p - t\\| / t.
        bias: mean of (p - t) / t; above 0 where depth is too far.
        a1: share with max(p / t, t / p) < 1.25.
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
        crop: region of the image that counts for distances, as in :mod:`space_clip_ros.evaluation.metrics`; regions
            of the image are told apart without a crop.
    """

    def __init__(self, min_depth: float, max_depth: float, crop: str) -> None:
        """Start with no frames."""
        self._range = (min_depth, max_depth)
        self._crop = crop
        self._distances = np.zeros((4, len(EDGES_M) - 1))
        self._regions = np.zeros((4, ROWS * COLUMNS))

    def add(self, prediction: Depth, truth: Depth) -> None:
        """Add a frame: both (H, W) float32 metres of one size, NaN unknown.

        Raises:
            InputError: sizes differ.
        """
        mask = comparable(prediction, truth, *self._range, self._crop)
        inner = np.digitize(truth[mask], EDGES_M[1:-1])
        self._distances += self._sums(prediction[mask], truth[mask], inner, len(EDGES_M) - 1)
        mask = comparable(prediction, truth, *self._range)
        rows, columns = np.nonzero(mask)
        height, width = truth.shape
        regions = rows * ROWS // height * COLUMNS + columns * COLUMNS // width
        self._regions += self._sums(prediction[mask], truth[mask], regions, ROWS * COLUMNS)

    def by_distance(self) -> list[Errors]:
        """Return one entry for each range between :data:`EDGES_M`."""
        return _means(self._distances)

    def by_region(self) -> list[Errors]:
        """Return :data:`ROWS` x :data:`COLUMNS` entries, row by row from the top left."""
        return _means(self._regions)

    def _sums(self, prediction: Depth, truth: Depth, places: NDArray[np.intp], count: int) -> NDArray[np.float64]:
        p = np.clip(prediction.astype(np.float64), *self._range)
        t = truth.astype(np.float64)
        relative = (p - t) / t
        close = np.maximum(p / t, t / p) < 1.25
        columns = (np.ones(p.size), np.abs(relative), relative, close.astype(np.float64))
        return np.stack([np.bincount(places, weights, count) for weights in columns])


def _means(sums: NDArray[np.float64]) -> list[Errors]:
    with np.errstate(invalid="ignore"):
        means = sums[1:] / sums[0]
    return [Errors(int(pixels), *column.tolist()) for pixels, column in zip(sums[0], means.T, strict=True)]
