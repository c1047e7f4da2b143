"""Pixels on which fragments compete: the largest value wins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.synthetic.raster import Facets, Fragments, fragments

Keep = Callable[[Fragments], NDArray[np.bool_]]

_BATCH = 250_000
_RANKS = 2**28  # half of what a float32 leaves of a float64, so that taking the value back does not round up


class Canvas:
    """Pixels that remember the largest value drawn on them.

    A pixel holds one float64: the value as float32, and below its last bit the rank of the quad. The larger of two is
    thus the one of the larger value or, between equals, of the larger rank, and no second pass has to find its quad.
    """

    def __init__(self, width: int, height: int) -> None:
        """Start empty: ``width`` x ``height`` pixels."""
        self._width, self._height = width, height
        self._keys = np.full(height * width, -np.inf)
        self._drawn: list[NDArray[np.intp]] = []
        self._rank = _RANKS  # of the first quad of the batch drawn last

    @property
    def value(self) -> NDArray[np.float32]:
        """(height * width,) float32, -inf where nothing is."""
        return self._keys.astype(np.float32)

    @property
    def facet(self) -> NDArray[np.int32]:
        """(height * width,) int32, row of the :class:`Facets` drawn, -1 where nothing is."""
        names = np.concatenate([[-1], *self._drawn[::-1]]).astype(np.int32)
        rank = self._keys.view(np.int64) & (2 * _RANKS - 1)
        rank -= self._rank - 1
        return names.take(rank, mode="clip")  # minus infinity's rank is 0, far below

    def draw(self, facets: Facets, rows: NDArray[np.intp], keep: Keep | None = None) -> None:
        """Draw some quads.

        Args:
            facets: all quads.
            rows: which of them.
            keep: optional test of fragments, False where a quad is transparent; fragments name rows of ``facets``.
        """
        for part in _batches(facets.box[rows], facets.value[rows]):
            part = rows[part]
            found = fragments(facets.select(part), self._width, self._height)
            # Of equals, the first batch wins, and in it the last quad.
            self._rank -= len(part)
            self._drawn.append(part)
            key = found.value.astype(np.float64)
            bits = key.view(np.int64)
            bits += found.facet
            bits += self._rank
            pixel = found.pixel
            if keep is not None:
                nearer = np.flatnonzero(key > self._keys.take(pixel))
                found = found.select(nearer)
                kept = nearer[keep(Fragments(found.pixel, part.take(found.facet), found.value))]
                pixel, key = pixel.take(kept), key.take(kept)
            np.maximum.at(self._keys, pixel, key)


def _batches(box: NDArray[np.floating], value: NDArray[np.floating]) -> list[NDArray[np.intp]]:
    """Group quads, those with large values first, so that a batch's fragments fit the processor's cache."""
    corners = box[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    values = np.einsum("ijk,ik->ij", corners, value[:, :2]) + value[:, 2:]
    order = np.argsort(-values.mean(axis=1))
    size = np.diff(box[:, [0, 2, 1, 3]].reshape(-1, 2, 2), axis=2)[..., 0].clip(1, 1500).prod(axis=1)
    batch = np.cumsum(size[order]) // _BATCH
    return np.split(order, np.flatnonzero(np.diff(batch)) + 1)
