"""Pixels on which fragments compete: the largest value wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.scenery.raster import Facets, Fragments, fragments

Keep = Callable[[Fragments], NDArray[np.bool_]]

_BATCH = 250_000


@dataclass
class Canvas:
    """Pixels that remember the largest value drawn on them.

    Attributes:
        width: pixels.
        height: pixels.
        value: (height * width,) float32, -inf where nothing is.
        facet: (height * width,) int32, row of the :class:`Facets` drawn, -1 where nothing is.
    """

    width: int
    height: int
    value: NDArray[np.float32] = field(init=False)
    facet: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        """Start empty."""
        self.value = np.full(self.height * self.width, -np.inf, np.float32)
        self.facet = np.full(self.height * self.width, -1, np.int32)

    def draw(self, facets: Facets, rows: NDArray[np.intp], keep: Keep | None = None) -> None:
        """Draw some quads.

        Args:
            facets: all quads.
            rows: which of them.
            keep: optional test of fragments, False where a quad is transparent; fragments name rows of ``facets``.
        """
        for part in _batches(facets.select(rows)):
            part = rows[part]
            found = fragments(facets.select(part), self.width, self.height)
            found = found.select(np.flatnonzero(found.value > self.value.take(found.pixel)))
            found = Fragments(found.pixel, part.astype(np.int32).take(found.facet), found.value)
            if keep is not None:
                found = found.select(np.flatnonzero(keep(found)))
            np.maximum.at(self.value, found.pixel, found.value)
            winners = np.flatnonzero(found.value == self.value.take(found.pixel))
            self.facet[found.pixel.take(winners)] = found.facet.take(winners)


def _batches(facets: Facets) -> list[NDArray[np.intp]]:
    """Group quads, those with large values first, so that a batch's fragments fit the processor's cache."""
    corners = facets.box[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    values = np.einsum("ijk,ik->ij", corners, facets.value[:, :2]) + facets.value[:, 2:]
    order = np.argsort(-values.mean(axis=1))
    size = np.diff(facets.box[:, [0, 2, 1, 3]].reshape(-1, 2, 2), axis=2)[..., 0].clip(1, 1500).prod(axis=1)
    batch = np.cumsum(size[order]) // _BATCH
    return np.split(order, np.flatnonzero(np.diff(batch)) + 1)
