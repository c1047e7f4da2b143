"""The usual depth metrics, averaged per image.

abs_rel, sq_rel, rmse, rmse_log, a1 to a3 and the scale-invariant error behind silog are from Eigen et al. (NeurIPS
2014); silog is scaled by 100 as in KITTI's depth benchmark (Uhrig et al., 3DV 2017). With p the prediction clipped to
the range and t the truth, over the pixels where both are valid:

    abs_rel     mean(|p - t| / t)
    sq_rel      mean((p - t)^2 / t), metres
    rmse        sqrt(mean((p - t)^2)), metres
    rmse_log    sqrt(mean((ln p - ln t)^2))
    log_10      mean(|log10 p - log10 t|)
    silog       100 * sqrt(var(ln p - ln t))
    a1, a2, a3  share of pixels with max(p / t, t / p) < 1.25, 1.25^2, 1.25^3
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.depth import Mask, check_map

Map = npt.NDArray[np.floating]
Values = npt.NDArray[np.float64]

METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log_10", "silog", "a1", "a2", "a3")
# Top and bottom as shares of the height, left and right as shares of the width. "garg" is from Garg et al. (ECCV 2016),
# "eigen" is the crop commonly used to reproduce the numbers of Eigen et al. (NeurIPS 2014) on KITTI. "nyu" is what the
# field compares of NYU Depth V2: rows 45 to 471 and columns 41 to 601 of 480 x 640 pixels, as BTS, AdaBins and NeWCRFs.
CROPS = {
    "none": (0.0, 1.0, 0.0, 1.0),
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229),
    "nyu": (45 / 480, 471 / 480, 41 / 640, 601 / 640),
}


def compute_metrics(
    prediction: Map,
    truth: Map,
    min_depth: float,
    max_depth: float,
    crop: str = "none",
    median_scaling: bool = False,
) -> dict[str, float]:
    """Compare a predicted depth map with the truth.

    Args:
        prediction: (H, W) metres; pixels that are NaN are not compared.
        truth: (H, W) metres; NaN or 0 where unknown.
        min_depth: metres; only truth strictly above this is compared, and the prediction is clipped to it.
        max_depth: metres; only truth strictly below this is compared, and the prediction is clipped to it.
        crop: one of ``CROPS``.
        median_scaling: scale the prediction by median(truth) / median(prediction) before clipping it (Zhou et al.,
            CVPR 2017).

    Returns:
        The metrics named in ``METRICS``.

    Raises:
        InputError: the shapes differ, the crop is unknown, the range is empty, the median to scale by is not above 0,
            or no pixel can be compared; :class:`MetricAverage` skips and counts such images instead.
    """
    p, t = compared_pixels(prediction, truth, min_depth, max_depth, crop, median_scaling)
    if not p.size:
        raise InputError(
            f"no pixel can be compared: truth has none between {min_depth:g} and {max_depth:g} m in crop {crop!r}"
            " where the prediction is a number"
        )
    return pixel_metrics(p, t)


def compared_pixels(
    prediction: Map,
    truth: Map,
    min_depth: float,
    max_depth: float,
    crop: str = "none",
    median_scaling: bool = False,
) -> tuple[Values, Values]:
    """Return the pixels to compare, the prediction's scaled and clipped; arguments as :func:`compute_metrics`.

    Returns:
        (pixels,) float64 predicted metres and (pixels,) float64 true metres; both may be empty.

    Raises:
        InputError: the shapes differ, the crop is unknown, the range is empty, or the median to scale by is not above
            0.
    """
    mask = comparable(prediction, truth, min_depth, max_depth, crop)
    return _fitted(prediction[mask], truth[mask], min_depth, max_depth, median_scaling)


def pixel_metrics(p: Values, t: Values) -> dict[str, float]:
    """Return the metrics named in ``METRICS``.

    Args:
        p: (pixels,) predicted metres, above 0; at least one.
        t: (pixels,) true metres, above 0.
    """
    error = p - t
    log_error = np.log(p) - np.log(t)
    ratio = np.maximum(p / t, t / p)
    return {
        "abs_rel": float(np.mean(np.abs(error) / t)),
        "sq_rel": float(np.mean(error**2 / t)),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "rmse_log": float(np.sqrt(np.mean(log_error**2))),
        "log_10": float(np.mean(np.abs(log_error)) / np.log(10)),
        "silog": float(100 * np.std(log_error)),
        **{f"a{n}": float(np.mean(ratio < 1.25**n)) for n in (1, 2, 3)},
    }


def comparable(prediction: Map, truth: Map, min_depth: float, max_depth: float, crop: str = "none") -> Mask:
    """Return the (H, W) bool mask of pixels to compare: truth inside range and crop, and a prediction that is not NaN.

    Raises:
        InputError: the shapes differ, the crop is unknown, or the range is empty.
    """
    return _predicted(_known(truth, min_depth, max_depth, crop), prediction)


def coverage(prediction: Map, truth: Map, min_depth: float, max_depth: float, crop: str = "none") -> float | None:
    """Return the share of pixels with truth inside range and crop whose prediction is not NaN; None without truth.

    Raises:
        InputError: the shapes differ, the crop is unknown, or the range is empty.
    """
    known = _known(truth, min_depth, max_depth, crop)
    return float(_predicted(known, prediction).sum() / known.sum()) if known.any() else None


def median_factor(prediction: Map, truth: Map) -> float:
    """Return median(truth) / median(prediction) of the pixels compared, both (pixels,) metres, at least one.

    Raises:
        InputError: the prediction's median is not above 0 and finite.
    """
    median = float(np.median(prediction))
    if not 0 < median < np.inf:
        raise InputError(f"median scaling needs a prediction whose median is above 0 and finite, got {median:g}")
    return float(np.median(truth)) / median


def crop_window(crop: str, height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns of a crop, truncated to whole pixels.

    Raises:
        InputError: the crop is unknown.
    """
    if crop not in CROPS:
        raise InputError(f"crop must be one of {', '.join(CROPS)}, got {crop!r}")
    top, bottom, left, right = CROPS[crop]
    return slice(int(top * height), int(bottom * height)), slice(int(left * width), int(right * width))


class MetricAverage:
    """Averages metrics over images, each with the same weight, and counts what could not be compared.

    Args:
        min_depth: as :func:`compute_metrics`.
        max_depth: as :func:`compute_metrics`.
        crop: as :func:`compute_metrics`.
        median_scaling: as :func:`compute_metrics`.

    Attributes:
        frames: number of images averaged.
        skipped: number of images in which no pixel could be compared.
        pixels: number of pixels compared, over all images.
        unanswered: number of pixels with truth to compare but a NaN prediction, over all images.
    """

    def __init__(self, min_depth: float, max_depth: float, crop: str = "none", median_scaling: bool = False) -> None:
        """Start with no images."""
        crop_window(crop, 1, 1)
        _check_range(min_depth, max_depth)
        self._range = (min_depth, max_depth)
        self._crop = crop
        self._median_scaling = median_scaling
        self.reset()

    def reset(self) -> None:
        """Forget every image."""
        self.frames = self.skipped = self.pixels = self.unanswered = 0
        self._sums = dict.fromkeys(METRICS, 0.0)

    def add(self, prediction: Map, truth: Map) -> dict[str, float] | None:
        """Add one image; return its metrics, or None if no pixel could be compared.

        Raises:
            InputError: the shapes differ or are not (H, W), or the median to scale by is not above 0.
        """
        known = _known(truth, *self._range, self._crop)
        mask = _predicted(known, prediction)
        p, t = _fitted(prediction[mask], truth[mask], *self._range, self._median_scaling)
        self.unanswered += int(known.sum()) - p.size
        if not p.size:
            self.skipped += 1
            return None
        metrics = pixel_metrics(p, t)
        self.frames += 1
        self.pixels += p.size
        for name, value in metrics.items():
            self._sums[name] += value
        return metrics

    def mean(self) -> dict[str, float]:
        """Return the metrics averaged over images; empty before the first one."""
        return {name: total / self.frames for name, total in self._sums.items()} if self.frames else {}


def _known(truth: Map, min_depth: float, max_depth: float, crop: str) -> Mask:
    check_map(truth)
    _check_range(min_depth, max_depth)
    window = crop_window(crop, *truth.shape)
    known = np.zeros(truth.shape, np.bool_)
    known[window] = (truth[window] > min_depth) & (truth[window] < max_depth)
    return known


def _predicted(known: Mask, prediction: Map) -> Mask:
    check_map(prediction)
    if prediction.shape != known.shape:
        raise InputError(
            f"prediction and truth must have one shape, got {prediction.shape} and {known.shape}",
            remedy="resize one first",
        )
    return np.asarray(known & ~np.isnan(prediction))


def _check_range(min_depth: float, max_depth: float) -> None:
    if not 0 < min_depth < max_depth:
        raise InputError(f"depth range must run from above 0 up to max_depth, got {min_depth}, {max_depth}")


def _fitted(
    prediction: Map, truth: Map, min_depth: float, max_depth: float, median_scaling: bool
) -> tuple[Values, Values]:
    p, t = prediction.astype(np.float64), truth.astype(np.float64)
    if median_scaling and p.size:
        p *= median_factor(p, t)
    return np.clip(p, min_depth, max_depth, out=p), t
