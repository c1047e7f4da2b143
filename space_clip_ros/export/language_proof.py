"""Judges the language features of an exported file: their directions, and the labels made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import ExportError
from space_clip_ros.inference.metadata import DENSE_NAME
from space_clip_ros.model_config import LanguageConfig

Vectors = NDArray[np.float32]
_RANDOM_QUERIES = 16
_SEED = 7


@dataclass(frozen=True)
class LanguageDifference:
    """How much language features differ from those of another run.

    Attributes:
        mean_cosine: of the vectors' cosines with the other run's, over the worst image.
        least_cosine: of any vector.
        agreement: share of dense vectors whose best query is the same, over all images; 1 without dense features.
        images: how many images were compared.
        reference: what made the other run.
    """

    mean_cosine: float
    least_cosine: float
    agreement: float
    images: int
    reference: str = "PyTorch"

    def __str__(self) -> str:
        """Return the numbers as text."""
        return (
            f"language features: cosine with {self.reference}'s {self.mean_cosine:.5f} on average, "
            f"{self.least_cosine:.4f} at the worst patch; {self.agreement:.2%} of labels the same"
        )


class _LanguageLimits(NamedTuple):
    mean_cosine: float
    agreement: float


LANGUAGE_LIMITS = {
    "fp32": _LanguageLimits(0.99999, 0.995),
    "tf32": _LanguageLimits(0.99999, 0.995),
    "fp16": _LanguageLimits(0.999, 0.98),
    "int8": _LanguageLimits(0.97, 0.9),
}
"""The least mean cosine with the other run's features, and the least share of equal labels."""


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
        # A number that is not finite would be lost in the minimum.
        cosines = np.nan_to_num((exported * expected).sum(axis=-1), nan=-1.0, posinf=-1.0, neginf=-1.0)
        self._mean = min(self._mean, float(cosines.reshape(len(cosines), -1).mean(axis=1).min()))
        self._least = min(self._least, float(cosines.min()))
        if name == DENSE_NAME:
            if self._queries is None:
                flat = expected.reshape(-1, expected.shape[-1])
                self._queries = flat[np.random.default_rng(_SEED).choice(len(flat), min(_RANDOM_QUERIES, len(flat)))]
            labels, correct = ((vectors @ self._queries.T).argmax(axis=-1) for vectors in (exported, expected))
            self._same += int((labels == correct).sum())
            self._labels += labels.size

    def difference(self, images: int, reference: str = "PyTorch") -> LanguageDifference:
        """Return what was seen."""
        agreement = self._same / self._labels if self._labels else 1.0
        return LanguageDifference(self._mean, self._least, agreement, images, reference)


def query_vectors(language: LanguageConfig) -> Vectors | None:
    """Return the names that label the features of a model with a closed list, as vectors; None for other models."""
    return np.eye(language.embed_dim, dtype=np.float32) if language.vocabulary else None


def language_problem(difference: LanguageDifference, precision: str) -> str:
    """Return why language features of this precision are rejected, with the numbers; empty if they are accepted."""
    least = LANGUAGE_LIMITS[precision]
    if difference.mean_cosine >= least.mean_cosine and difference.agreement >= least.agreement:
        return ""
    return f"{difference}; wanted are {least.mean_cosine:g} on average and {least.agreement:.1%}"


def check_language(difference: LanguageDifference, precision: str) -> None:
    """Reject language features that differ too much, whatever depth does.

    Raises:
        ExportError: they do, with the numbers.
    """
    if problem := language_problem(difference, precision):
        raise ExportError(problem, "", "export in another precision, or depth alone with --outputs depth")
