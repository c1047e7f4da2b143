"""Errors by distance: how far depth is off, and in which direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.evaluation.metrics import Values

EDGES_M = (1.0, 5.0, 10.0, 20.0, 40.0, 80.0)
"""Bounds of the bands, metres; a band includes its nearer bound."""

ALL = "all"
BANDS = (ALL, *(f"{near:g}-{far:g} m" for near, far in pairwise(EDGES_M)))
"""Names of the bands. The first one holds every pixel compared, also those outside the others."""


class BandErrors(NamedTuple):
    """Mean errors of a band's pixels, with p the prediction and t the truth.

    Attributes:
        share: share of all pixels compared that the band holds.
        bias: mean of (p - t) / t; above 0 if depth is too far.
        abs_rel: mean of \\|p - t\\| / t.
        a1: share of the band's pixels with max(p / t, t / p) < 1.25.
    """

    share: float
    bias: float
    abs_rel: float
    a1: float


def error_sums(p: Values, t: Values, places: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """Add up the errors of pixels, place by place.

    Args:
        p: (pixels,) predicted metres.
        t: (pixels,) true metres.
        places: (pixels,) the place of each, from 0.
        count: number of places.

    Returns:
        (4, count) float64: the sums of 1, \\|p - t\\| / t, (p - t) / t and of whether max(p / t, t / p) < 1.25.
    """
    relative = (p - t) / t
    close = np.maximum(p / t, t / p) < 1.25
    columns = (np.ones(p.size), np.abs(relative), relative, close.astype(np.float64))
    return np.stack([np.bincount(places, weights, count) for weights in columns])


def band_errors(p: Values, t: Values) -> dict[str, BandErrors]:
    """Return the errors of a frame in each of :data:`BANDS` that has pixels.

    Args:
        p: (pixels,) predicted metres; at least one.
        t: (pixels,) true metres.
    """
    sums = error_sums(p, t, np.digitize(t, EDGES_M), len(EDGES_M) + 1)
    columns = (sums.sum(axis=1), *sums.T[1:-1])
    return {
        name: BandErrors(count / p.size, bias / count, abs_rel / count, a1 / count)
        for name, (count, abs_rel, bias, a1) in zip(BANDS, map(np.ndarray.tolist, columns), strict=True)
        if count
    }


def mean_bands(frames: Sequence[Mapping[str, BandErrors]]) -> dict[str, BandErrors]:
    """Average the bands of frames; a band that has no pixels in any of them is left out.

    Frames weigh the same, as in the metrics, and so do the pixels within a frame. So the abs_rel of :data:`ALL` is that
    of the metrics, and where the other bands hold every pixel, their abs_rel add up to it, weighted by their shares.
    """
    means = {}
    for name in BANDS:
        rows = np.array([bands[name] for bands in frames if name in bands])
        if rows.size:
            errors = np.average(rows[:, 1:], axis=0, weights=rows[:, 0])
            means[name] = BandErrors(float(rows[:, 0].sum()) / len(frames), *errors.tolist())
    return means
