"""Judges the language features of an exported file by themselves: their directions, and the labels made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import ExportError
from space_clip_ros.inference.metadata import DENSE_NAME

Vectors = NDArray[np.float32]
_RANDOM_QUERIES = 16
_SEED = 7


@dataclass(frozen=True)
class LanguageDifference:
    """How much a file's language features differ from PyTorch's.

    Attributes:
        mean_cosine: of the vectors' cosines with PyTorch's, over the worst image.
        least_cosine: of any vector.
        agreement: share of dense vectors whose best query is the same, over all images; 1 without dense features.
        images: how many images were compared.
    """

    mean_cosine: float
    least_cosine: float
    agreement: float
    images: int

    def __str__(self) -> str:
        """Return the numbers as text."""
        return (
            f"language features: cosine with PyTorch's {self.mean_cosine:.5f} on average, {self.least_cosine:.4f} at "
            f"the worst patch; {self.agreement:.2%} of labels the same"
        )


class _Tolerance(NamedTuple):
    mean_cosine: float
    agreement: float


TOLERANCES = {
    "fp32": _Tolerance(0.99999, 0.995),
    "fp16": _Tolerance(0.999, 0.98),
    "int8": _Tolerance(0.97, 0.9),
}
"""The least mean cosine with PyTorch's features, and the least share of equal labels."""


class LanguageSeen:
    """The differences of language features so far."""

    def __init__(self, queries: Vectors | None) -> None:
        """Start without any.

        Args:
            queries: (N, D) vectors that label each dense vector; None takes some of the dense vectors themselves, which
                are closer to each other than the vectors of different words.
        """
        self._queries = queries
        self._mean = self._least = 1.0
        self._same = self._labels = 0

    def add(self, name: str, exported: Vectors, expected: Vectors) -> None:
        """Compare an output's vectors, (..., D)."""
        cosines = (exported * expected).sum(axis=-1)
        self._mean = min(self._mean, float(cosines.reshape(len(cosines), -1).mean(axis=1).min()))
        self._least = min(self._least, float(cosines.min()))
        if name == DENSE_NAME:
            if self._queries is None:
                flat = expected.reshape(-1, expected.shape[-1])
                self._queries = flat[np.random.default_rng(_SEED).choice(len(flat), min(_RANDOM_QUERIES, len(flat)))]
            labels, correct = ((vectors @ self._queries.T).argmax(axis=-1) for vectors in (exported, expected))
            self._same += int((labels == correct).sum())
            self._labels += labels.size

    def difference(self, images: int) -> LanguageDifference:
        """Return what was seen."""
        return LanguageDifference(self._mean, self._least, self._same / max(self._labels, 1) or 1.0, images)


def check_language(difference: LanguageDifference, precision: str) -> None:
    """Reject language features that differ too much, whatever depth does.

    Raises:
        ExportError: they do, with the numbers.
    """
    tolerance = TOLERANCES[precision]
    if difference.mean_cosine < tolerance.mean_cosine or difference.agreement < tolerance.agreement:
        raise ExportError(
            f"{difference}; wanted are {tolerance.mean_cosine:g} on average and {tolerance.agreement:.1%}",
            "",
            "export in another precision, or depth alone with --outputs depth",
        )
