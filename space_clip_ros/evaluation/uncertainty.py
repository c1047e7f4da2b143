"""How good predicted uncertainty is: whether it ranks the errors, and whether its size is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.evaluation.metrics import Values

UNCERTAINTY_METRICS = ("ause", "within_1_sigma", "within_2_sigma", "nll")

_REMOVED = np.arange(50) / 50.0
_LOG10_EDGES = np.linspace(-3.0, 3.0, 601)
_TINY = 1e-12
_AIMS = ((1.0, 0.68, 0.05), (2.0, 0.95, 0.03))
"""Multiples of sigma, the share of pixels that should lie within, and how far off that share may be."""


class FrameUncertainty(NamedTuple):
    """How well one frame's uncertainty fits its errors.

    Attributes:
        ause: see :func:`ause`.
        nll: mean negative log-likelihood of the true log depth under the Laplace distribution that sigma describes,
            without the constant log(2).
        counts: (601,) share of the pixels by how many sigmas their error is; bins are 0.01 wide in log10 and begin at
            0.001, the first and the last also hold what lies beyond.
    """

    ause: float
    nll: float
    counts: NDArray[np.float64]


def frame_uncertainty(p: Values, t: Values, relative_sigma: Values) -> FrameUncertainty:
    """Compare the uncertainty of a frame with its errors.

    Args:
        p: (pixels,) predicted metres, above 0; at least one.
        t: (pixels,) true metres, above 0.
        relative_sigma: (pixels,) one standard deviation of depth as a share of it.
    """
    sigma = np.maximum(relative_sigma, _TINY)
    scale = sigma / math.sqrt(2.0)
    nll = float(np.mean(np.abs(np.log(p) - np.log(t)) / scale + np.log(scale)))
    sigmas = np.maximum(np.abs(p - t) / (p * sigma), _TINY)
    places = np.clip(np.searchsorted(_LOG10_EDGES, np.log10(sigmas), side="left"), 0, _LOG10_EDGES.size - 1)
    counts = np.bincount(places, minlength=_LOG10_EDGES.size) / p.size
    return FrameUncertainty(ause(np.abs(p - t) / t, relative_sigma), nll, counts)


def ause(errors: Values, uncertainty: Values) -> float:
    r"""Return the area under the sparsification error curve (Ilg et al., 2018, arXiv:1802.07095), on abs_rel.

    The pixels with the largest uncertainty are removed, 0, 2, 4 up to 98 % of them, and the mean error of the rest is
    taken each time. The same is done with the pixels with the largest error, which no uncertainty can better. The
    result is the mean difference of the two curves, in units of abs_rel, not normalised: 0 is perfect.

    Args:
        errors: (pixels,) \|p - t\| / t of each pixel; at least one.
        uncertainty: (pixels,) in any unit, as only its order counts; here the share of depth, because the errors are.
    """
    return float(np.mean(_sparsified(errors, uncertainty) - _sparsified(errors, errors)))


class UncertaintySummary(NamedTuple):
    """The average over frames, each with the same weight.

    Attributes:
        ause: as in :class:`FrameUncertainty`.
        within_1_sigma: share of the pixels whose error is at most one sigma.
        within_2_sigma: the same for two.
        nll: as in :class:`FrameUncertainty`.
    """

    ause: float
    within_1_sigma: float
    within_2_sigma: float
    nll: float


def mean_uncertainty(frames: Sequence[FrameUncertainty]) -> UncertaintySummary:
    """Average frames; at least one."""
    within = _cumulative(frames)
    mean_ause, mean_nll = (float(np.mean([getattr(frame, name) for frame in frames])) for name in ("ause", "nll"))
    return UncertaintySummary(mean_ause, _share_within(within, 1.0), _share_within(within, 2.0), mean_nll)


def fitted_factor(frames: Sequence[FrameUncertainty]) -> float:
    """Return the factor on sigma that brings the pixels within one and two sigma closest to 68 % and 95 %.

    One number cannot meet both for every shape of errors, so the larger miss counts, one sigma's in units of 5 and two
    sigmas' in units of 3 percentage points. Errors that follow a Laplace distribution end at 73 % and 92.5 %.
    """
    within = _cumulative(frames)
    factors = 10.0 ** np.arange(-1.0, 1.0, 0.005)
    misses = [
        max(abs(_share_within(within, sigmas * factor) - share) / allowed for sigmas, share, allowed in _AIMS)
        for factor in factors
    ]
    return float(factors[int(np.argmin(misses))])


def _sparsified(errors: Values, order: Values) -> Values:
    """Mean error of the pixels that stay, for each share in :data:`_REMOVED` of those with the largest ``order``."""
    ordered = errors[np.argsort(order, kind="stable")]
    kept = np.maximum(np.round((1.0 - _REMOVED) * errors.size).astype(np.intp), 1)
    return np.asarray(np.cumsum(ordered)[kept - 1] / kept)


def _cumulative(frames: Sequence[FrameUncertainty]) -> NDArray[np.float64]:
    return np.cumsum(np.mean([frame.counts for frame in frames], axis=0))


def _share_within(cumulative: NDArray[np.float64], sigmas: float) -> float:
    return float(np.interp(math.log10(sigmas), _LOG10_EDGES, cumulative))
