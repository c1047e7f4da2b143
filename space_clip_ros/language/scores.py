"""Scores of queries on patches: probabilities, labels, and how sure they are. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.model_config import UNLABELLED

MOST_QUERIES = 255
"""Labels are bytes, and one of them is :data:`UNLABELLED`."""


def patch_probabilities(
    dense: NDArray[np.float32], queries: QuerySet, logit_scale: float, temperature: float = 1.0
) -> NDArray[np.float32]:
    """Return how likely each patch shows each query: softmax(logit_scale / temperature * cosine) over all prompts.

    The softmax goes over queries and background. NACLIP and CLIP's zero-shot classification do the same.

    Args:
        dense: (rows, columns, D) float32 features of length 1.
        queries: N queries and any number of background prompts, as vectors of D.
        logit_scale: the model's factor on cosines.
        temperature: above 1 brings the probabilities closer to each other.

    Returns:
        (N + 1, rows, columns) float32. The last map is the strongest background prompt, 0 without background.

    Raises:
        InputError: the vectors are of another length than the features, or fewer than two prompts, whose softmax would
            be 1 everywhere.
    """
    check_queries(queries)
    rows, columns, size = dense.shape
    if queries.vectors.shape[1] != size:
        raise InputError("queries", f"have {queries.vectors.shape[1]} numbers a vector, the patches {size}")
    logits = queries.vectors @ dense.reshape(-1, size).T * np.float32(logit_scale / temperature)
    weights = np.exp(logits - logits.max(axis=0))
    weights /= weights.sum(axis=0)
    count = len(queries.names)
    maps = np.zeros((count + 1, rows * columns), np.float32)
    maps[:count] = weights[:count]
    if queries.background:
        maps[count] = weights[count:].max(axis=0)
    return maps.reshape(count + 1, rows, columns)


def check_queries(queries: QuerySet) -> None:
    """Refuse queries that cannot be told apart or numbered; see :func:`check_names`."""
    check_names(queries.names, queries.background)


def check_names(
    names: Sequence[str],
    background: Sequence[str],
    remedy: str = "set semantic.background to what else may be in view, or ask for more",
) -> None:
    """Refuse queries that cannot be told apart or numbered, before a text tower takes its time for them.

    Args:
        names: the queries.
        background: what they must stand out from.
        remedy: what to do about one without background.

    Raises:
        InputError: more than :data:`MOST_QUERIES`, none, or one without background.
    """
    if not names:
        raise InputError("queries", "are empty", "name at least one")
    if len(names) > MOST_QUERIES:
        raise InputError("queries", f"may be {MOST_QUERIES} at most, got {len(names)}")
    if len(names) + len(background) < 2:
        raise InputError(
            "queries",
            f"{names[0]!r} alone would be found everywhere",
            remedy,
        )


def sample(maps: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return maps of patches at other places, bilinear between the patches' centres and constant beyond the outer ones.

    Args:
        maps: (C, R, K) float32.
        rows: (h,) where to sample, as a share of the image's height: 0 is its upper edge, 1 its lower.
        columns: (w,) the same of its width.

    Returns:
        (C, h, w) float32.
    """
    count, height, width = maps.shape
    # Two products with few large matrices: some ten times faster than indexing.
    across = maps.reshape(-1, width) @ _weights(columns, width).T
    down = _weights(rows, height) @ across.reshape(count, height, -1)
    return np.asarray(down, np.float32)


def label(probabilities: NDArray[np.float32], threshold: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return each pixel's query, and how likely it is.

    Args:
        probabilities: (N + 1, h, w) float32, the last the background's, as :func:`patch_probabilities` returns it.
        threshold: least probability of a label.

    Returns:
        Labels, (h, w) uint8: the number of the most likely query, or :data:`UNLABELLED` where background is more likely
        or the query is below the threshold. And confidence, (h, w) uint8: 255 times the label's probability, 0 where
        unlabelled.
    """
    best = probabilities[0].copy()
    labels = np.zeros(best.shape, np.uint8)
    # Map by map: argmax over the first axis reads memory in strides, which takes several times as long.
    for number, probability in enumerate(probabilities[1:-1], 1):
        higher = probability > best
        labels[higher] = number
        np.maximum(best, probability, out=best)
    nothing = (best < np.float32(threshold)) | (best <= probabilities[-1])
    labels[nothing] = UNLABELLED
    best[nothing] = 0.0
    return labels, np.rint(best.clip(0.0, 1.0) * 255).astype(np.uint8)


def _weights(places: NDArray[np.float64], cells: int) -> NDArray[np.float32]:
    """Return the (places, cells) matrix of bilinear interpolation."""
    at = np.clip(places * cells - 0.5, 0, cells - 1)
    low = np.minimum(at.astype(int), max(cells - 2, 0))
    share = (at - low).astype(np.float32)
    weights = np.zeros((len(places), cells), np.float32)
    index = np.arange(len(places))
    weights[index, low] = 1 - share
    if cells > 1:
        weights[index, low + 1] = share
    return weights
