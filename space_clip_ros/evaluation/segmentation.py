"""Scores of predicted labels: intersection over union of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError


@dataclass(frozen=True)
class SegmentationScores:
    """The scores of a set of pictures, over all of their labelled pixels together.

    Attributes:
        mean_iou: mean of ``iou``.
        accuracy: share of the labelled pixels with the right class.
        iou: intersection over union of each class that the truth or a prediction has, by name.
        pictures: how many were compared.
    """

    mean_iou: float
    accuracy: float
    iou: dict[str, float]
    pictures: int


class ConfusionMatrix:
    """Counts pixels by true and predicted class, as the benchmarks of PASCAL VOC and Cityscapes do.

    Args:
        names: names of the classes, by their numbers.

    Attributes:
        pictures: how many were counted.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Start with no picture."""
        self._names = tuple(names)
        self._counts = np.zeros((len(names), len(names)), np.int64)
        self.pictures = 0

    def add(self, predicted: NDArray[np.integer], truth: NDArray[np.uint8]) -> None:
        """Count a picture.

        Args:
            predicted: (H, W) the class of each pixel.
            truth: (H, W) uint8 true classes; numbers without a name are unlabelled and do not count.

        Raises:
            InputError: the sizes differ, or a predicted class has no name.
        """
        if predicted.shape != truth.shape:
            raise InputError("labels", f"are {predicted.shape}, the truth {truth.shape}")
        count = len(self._names)
        known = truth < count
        if known.any() and int(predicted[known].max()) >= count:
            raise InputError("labels", f"must be below {count}, got {int(predicted[known].max())}")
        pairs = truth[known].astype(np.int64) * count + predicted[known]
        self._counts += np.bincount(pairs, minlength=count * count).reshape(count, count)
        self.pictures += 1

    def merge(self, other: ConfusionMatrix) -> None:
        """Add what another matrix of the same classes has counted."""
        self._counts += other._counts
        self.pictures += other.pictures

    def scores(self) -> SegmentationScores:
        """Return the scores.

        Raises:
            InputError: no labelled pixel was counted.
        """
        total = self._counts.sum()
        if not total:
            raise InputError("labels", "no labelled pixel was compared")
        right = np.diag(self._counts)
        union = self._counts.sum(axis=0) + self._counts.sum(axis=1) - right
        iou = {name: float(hit / either) for name, hit, either in zip(self._names, right, union, strict=True) if either}
        return SegmentationScores(float(np.mean(list(iou.values()))), float(right.sum() / total), iou, self.pictures)
