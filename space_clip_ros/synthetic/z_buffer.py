"""A z-buffer: fragments compete for each pixel, and the largest value wins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.synthetic.raster import Facets, Fragments, fragments

AlphaTest = Callable[[Fragments], NDArray[np.bool_]]

_BATCH = 250_000
# Half of the values that fit below a float32's last bit in a float64, so that converting back never rounds up.
_RANKS = 2**28


class ZBuffer:
    """Pixels that remember the largest value drawn on them, and the quad it belongs to.

    A pixel holds one float64: the value as float32 and, below its last bit, the rank of the quad. So one maximum picks
    the larger value or, between equal values, the larger rank, and no second pass has to find the quad.
    """

    def __init__(self, width: int, height: int) -> None:
        """Start empty: ``width`` x ``height`` pixels."""
        self._width, self._height = width, height
        self._keys = np.full(height * width, -np.inf)
        self._drawn: list[NDArray[np.intp]] = []
        self._rank = _RANKS  # of the first quad of the batch drawn last

    @property
    def value(self) -> NDArray[np.float32]:
        """(height * width,) float32, -inf where nothing is drawn."""
        return self._keys.astype(np.float32)

    @property
    def facet(self) -> NDArray[np.int32]:
        """(height * width,) int32 row of the :class:`Facets` drawn, -1 where nothing is drawn."""
        rows = np.concatenate([[-1], *self._drawn[::-1]]).astype(np.int32)
        rank = self._keys.view(np.int64) & (2 * _RANKS - 1)
        rank -= self._rank - 1
        return rows.take(rank, mode="clip")  # empty pixels hold -inf, whose rank is far below: clipped to -1

    def draw(self, facets: Facets, rows: NDArray[np.intp], alpha_test: AlphaTest | None = None) -> None:
        """Draw some quads.

        Args:
            facets: all quads.
            rows: which of them.
            alpha_test: returns False for fragments where their quad is transparent; it gets fragments that refer to
                rows of ``facets``. None draws every fragment.
        """
        for batch in _batches(facets.box[rows], facets.value[rows]):
            drawn = rows[batch]
            visible = fragments(facets.select(drawn), self._width, self._height)
            # Between equal values, the first batch wins, and within a batch the last quad.
            self._rank -= len(drawn)
            self._drawn.append(drawn)
            key = visible.value.astype(np.float64)
            bits = key.view(np.int64)
            bits += visible.facet
            bits += self._rank
            pixel = visible.pixel
            if alpha_test is not None:
                nearer = np.flatnonzero(key > self._keys.take(pixel))
                visible = visible.select(nearer)
                kept = nearer[alpha_test(Fragments(visible.pixel, drawn.take(visible.facet), visible.value))]
                pixel, key = pixel.take(kept), key.take(kept)
            np.maximum.at(self._keys, pixel, key)


def _batches(box: NDArray[np.floating], value: NDArray[np.floating]) -> list[NDArray[np.intp]]:
    """Group quads, large values first, into batches whose fragments fit the processor's cache."""
    corners = box[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    values = np.einsum("ijk,ik->ij", corners, value[:, :2]) + value[:, 2:]
    order = np.argsort(-values.mean(axis=1))
    size = np.diff(box[:, [0, 2, 1, 3]].reshape(-1, 2, 2), axis=2)[..., 0].clip(1, 1500).prod(axis=1)
    batch = np.cumsum(size[order]) // _BATCH
    return np.split(order, np.flatnonzero(np.diff(batch)) + 1)
