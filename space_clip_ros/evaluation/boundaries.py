"""Boundary F1: does depth jump where it should, and only there (Bochkovskii et al., Depth Pro, arXiv:2410.02073).

Two neighbouring pixels i and j have an occluding contour between them, i in front, if d(j) / d(i) > 1 + t / 100. At a
threshold t, over all pairs of neighbours in the four directions, precision is the share of the prediction's contours
that the truth has too, recall the share of the truth's that the prediction has too, and F1 their harmonic mean. The
result is the average over ten thresholds from 5 to 25 percent. Depth Pro gives larger thresholds more weight; as in its
authors' code, the weights are proportional to 1 + t / 100. Unlike that code, pairs of all directions are pooled before
precision and recall are taken, as in the paper's equation (3).

A contour counts only between the same two pixels: a boundary that is off by one pixel is missed, and a blurred one
passes only the thresholds that one of its steps passes. A factor on all depth changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.metrics import Map
from space_clip_ros.geometry.depth import check_map, valid

THRESHOLDS_PERCENT = tuple(np.linspace(5.0, 25.0, 10).tolist())
"""Differences of neighbouring depths that count as a contour, percent."""

LEAST_KNOWN = 0.5
"""Share of a picture whose true depth must be known for its boundaries to be measured."""

_RATIOS = 1.0 + np.asarray(THRESHOLDS_PERCENT) / 100.0
_LOG_RATIOS = np.log(_RATIOS)


class BoundaryScores(NamedTuple):
    """How well the contours of a prediction fit those of the truth, averaged over thresholds.

    Attributes:
        precision: share of the prediction's contours that the truth has; 0 where the prediction has none.
        recall: share of the truth's contours that the prediction has; 0 where the truth has none.
        f1: harmonic mean of the two.
    """

    precision: float
    recall: float
    f1: float


def boundary_scores(prediction: Map, truth: Map, min_depth: float, max_depth: float) -> BoundaryScores | None:
    """Compare the occluding contours of a prediction with those of the truth.

    Both are first clipped to the range, so that anything beyond it, such as the sky, is as far away as the farthest
    depth that a prediction can have. Pairs with a pixel of unknown truth are left out. A prediction that is NaN has no
    contours.

    Args:
        prediction: (H, W) metres.
        truth: (H, W) metres, NaN or 0 where unknown.
        min_depth: metres, above 0.
        max_depth: metres.

    Returns:
        The scores; None if truth is known in less than :data:`LEAST_KNOWN` of the picture, or neither has a contour.

    Raises:
        InputError: the maps differ in shape or are not (H, W) floating point.
    """
    check_map(prediction)
    check_map(truth)
    if prediction.shape != truth.shape:
        raise InputError(f"prediction and truth must have one shape, got {prediction.shape} and {truth.shape}")
    if not is_dense(truth):
        return None
    known = valid(truth)
    log_truth = np.log(np.clip(np.where(known, truth, np.nan), min_depth, max_depth), dtype=np.float64)
    log_prediction = np.log(np.clip(prediction, min_depth, max_depth), dtype=np.float64)
    counts = sum(_counts(np.diff(log_prediction, axis=axis), np.diff(log_truth, axis=axis)) for axis in (0, 1))
    return _scores(np.asarray(counts))


def is_dense(truth: Map) -> bool:
    """Return whether enough of the true depth, (H, W) metres, is known to measure boundaries."""
    return bool(valid(truth).mean() >= LEAST_KNOWN)


def _scores(counts: NDArray[np.intp]) -> BoundaryScores | None:
    """Average over the thresholds at which there is a contour, given (3, thresholds) contours, see :func:`_counts`."""
    predicted, true, both = counts
    some = predicted + true > 0
    if not some.any():
        return None
    columns = (both / np.maximum(predicted, 1), both / np.maximum(true, 1), 2 * both / np.maximum(predicted + true, 1))
    return BoundaryScores(*(float(np.average(column[some], weights=_RATIOS[some])) for column in columns))


def _counts(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.intp]:
    """Count contours between neighbours along one axis, both ways round.

    Args:
        predicted: differences of the logarithms of the predicted depth; NaN for no contour.
        true: differences of the logarithms of the true depth; NaN where unknown.

    Returns:
        (3, thresholds): contours of the prediction, of the truth, and of both between the same pixels.
    """
    known = np.isfinite(true)
    steps = np.nan_to_num(predicted[known]), true[known]
    # A pair's level is the number of thresholds that it passes.
    levels = [np.searchsorted(_LOG_RATIOS, np.abs(step)) for step in steps]
    same_way = np.signbit(steps[0]) == np.signbit(steps[1])
    shared = np.minimum(*levels) * same_way
    return np.stack([_passed(level) for level in (*levels, shared)])


def _passed(levels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return how many levels pass each threshold, (thresholds,)."""
    counts = np.bincount(levels, minlength=len(_RATIOS) + 1)
    return np.asarray(counts[:0:-1].cumsum()[::-1])
