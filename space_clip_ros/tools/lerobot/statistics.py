"""Statistics of features, which LeRobot normalises with: per channel of images, per element of vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Statistics = dict[str, NDArray[Any]]

_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_PIXELS = 512
"""Number of an image's pixels that are sampled, on a regular grid."""


class EpisodeStatistics:
    """Collects the values of one episode.

    Colour is scaled to 0-1, as LeRobot's reader returns it. Depth stays in its unit, and invalid pixels are left out.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._samples: dict[str, list[NDArray[Any]]] = {}
        self._images: set[str] = set()
        self._scales: dict[str, float] = {}

    def add_vector(self, key: str, values: Any) -> None:
        """Add one frame's vector or number."""
        self._samples.setdefault(key, []).append(np.atleast_1d(np.asarray(values))[None])

    def add_color(self, key: str, rgb: NDArray[np.uint8]) -> None:
        """Add an (H, W, 3) uint8 image."""
        self._images.add(key)
        self._scales[key] = 255.0
        self._samples.setdefault(key, []).append(_grid(rgb).reshape(-1, 3))

    def add_depth(self, key: str, codes: NDArray[Any]) -> None:
        """Add an (H, W) depth image, in the unit it is stored in, 0 where invalid."""
        self._images.add(key)
        sampled = _grid(codes)
        self._samples.setdefault(key, []).append(sampled[sampled > 0][:, None])

    def result(self) -> dict[str, Statistics]:
        """Return min, max, mean, std, count and quantiles of each feature; images' have shape (channels, 1, 1).

        Depth without any valid pixel has zeros.
        """
        return {key: self._feature(key, samples) for key, samples in self._samples.items()}

    def _feature(self, key: str, samples: Sequence[NDArray[Any]]) -> Statistics:
        values = np.concatenate(samples).astype(np.float64) / self._scales.get(key, 1.0)
        if not len(values):
            values = np.zeros((1, values.shape[1]))
        quantiles = np.quantile(values, list(_QUANTILES.values()), axis=0)
        statistics = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
        statistics |= dict(zip(_QUANTILES, quantiles, strict=True))
        if key in self._images:
            statistics = {name: value[:, None, None] for name, value in statistics.items()}
        return statistics | {"count": np.array([len(samples)])}


def combined(episodes: Sequence[Mapping[str, Statistics]]) -> dict[str, Statistics]:
    """Return the statistics of all episodes, from each episode's.

    Mean and deviation are those of all frames, each episode weighted by its number of frames. The quantiles of
    all frames cannot be computed from those of the episodes; as in LeRobot, the lowest lower one and the highest upper
    one stand for them.
    """
    return {key: _combined([episode[key] for episode in episodes]) for key in episodes[0]}


def _combined(parts: Sequence[Statistics]) -> Statistics:
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    weights = stacked["count"].reshape(-1, *[1] * parts[0]["mean"].ndim) / stacked["count"].sum()
    mean = (stacked["mean"] * weights).sum(0)
    variance = ((stacked["std"] ** 2 + (stacked["mean"] - mean) ** 2) * weights).sum(0)
    result = {
        "min": stacked["min"].min(0),
        "max": stacked["max"].max(0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": stacked["count"].sum(0),
    }
    for name, quantile in _QUANTILES.items():
        result[name] = stacked[name].min(0) if quantile <= 0.5 else stacked[name].max(0)
    return result


def _grid(pixels: NDArray[Any]) -> NDArray[Any]:
    stride = max(int((pixels.shape[0] * pixels.shape[1] / _PIXELS) ** 0.5), 1)
    return pixels[::stride, ::stride]
