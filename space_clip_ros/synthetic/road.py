"""A road and the ground around it: centre line, heights, and a mesh of triangles.

Positions along the road are ``s`` (metres from its start) and ``t`` (metres to the left of its centre line).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.ground_textures import MARKING_PERIOD_M, ground_label
from space_clip_ros.synthetic.mesh import GROUND, Mesh, concatenate, quads
from space_clip_ros.synthetic.noise import Rng, smooth_curve

Floats = NDArray[np.floating]
Length = float | Floats

CELL_LENGTH_M = 4.0
"""Length of the ground mesh's cells, metres."""


@dataclass(frozen=True)
class Edge:
    """A line along the road where the cross-section bends.

    Attributes:
        t: metres to the left of the centre line.
        height: metres above the road.
        relief: factor on the terrain's ups and downs, which are added to the height.
        texture: of the strip from here to the next edge on the left; empty for none.
        repeat: metres after which that texture repeats; 0 stretches it across the strip.
    """

    t: float
    height: float
    texture: str = ""
    repeat: float = 4.0
    relief: float = 0.0


@dataclass(frozen=True)
class Crossing:
    """A side road from ``start`` to ``end``, metres along the road."""

    start: float
    end: float


class Road:
    """A curved, hilly road with a fixed cross-section."""

    def __init__(
        self,
        rng: Rng,
        length: float,
        section: Sequence[Edge],
        *,
        bend: float,
        slope: float,
        relief: float,
        crossings: Sequence[Crossing] = (),
        profile: Callable[[Floats], Floats] | None = None,
    ) -> None:
        """Draw the road's curves and heights.

        Args:
            rng: source of randomness.
            length: metres.
            section: edges from right to left.
            bend: typical curvature, 1/metres.
            slope: typical gradient.
            relief: typical height of the terrain beside the road, metres.
            crossings: side roads.
            profile: returns the road's heights at positions along it, metres; None draws them by ``slope``.
        """
        count = int(length) + 2
        widest = max(abs(edge.t) for edge in section)
        curvature = np.clip(bend * smooth_curve(rng, count, 60.0), -0.8 / widest, 0.8 / widest)
        self.length = length
        self.section = tuple(section)
        self.crossings = tuple(crossings)
        self._at = np.arange(count, dtype=np.float64)
        self._heading = np.cumsum(curvature)
        self._x = np.cumsum(np.cos(self._heading)) - np.cos(self._heading[0])
        self._y = np.cumsum(np.sin(self._heading)) - np.sin(self._heading[0])
        drawn = np.cumsum(slope * smooth_curve(rng, count, 80.0))
        self._z = drawn if profile is None else profile(self._at)
        self._relief = [relief * np.abs(smooth_curve(rng, count, 45.0) + 0.3) for _ in range(2)]

    def heading(self, s: Length) -> Floats:
        """Return the direction of the road at ``s``, radians from the x axis."""
        return np.asarray(np.interp(s, self._at, self._heading))

    def slope(self, s: float) -> float:
        """Return the gradient of the road at ``s``, metres per metre."""
        return float((np.interp(s + 2, self._at, self._z) - np.interp(s - 2, self._at, self._z)) / 4)

    def point(self, s: Length, t: Length, height: Length = 0.0) -> Floats:
        """Return (..., 3) world positions at ``height`` metres above the road's level (not the terrain's)."""
        heading = self.heading(s)
        x = np.interp(s, self._at, self._x) - np.asarray(t) * np.sin(heading)
        y = np.interp(s, self._at, self._y) + np.asarray(t) * np.cos(heading)
        z = np.interp(s, self._at, self._z) + np.asarray(height)
        if np.ndim(x) == np.ndim(y) == np.ndim(z) == 0:  # much faster
            return np.array([x, y, z], np.float64)
        return np.stack(np.broadcast_arrays(x, y, z), axis=-1)

    def ground(self, s: float, t: float) -> Floats:
        """Return the (3,) world position of the ground at ``s``, ``t``."""
        free = float(self.is_free(s - CELL_LENGTH_M / 2, s + CELL_LENGTH_M / 2))
        reliefs = [float(np.interp(s, self._at, relief)) for relief in self._relief]
        heights = [(edge.height + edge.relief * reliefs[int(edge.t > 0)]) * free for edge in self.section]
        height = float(np.interp(t, [edge.t for edge in self.section], heights))
        return self.point(s, t, height)

    def is_free(self, start: float, end: float) -> bool:
        """Return whether no side road lies between ``start`` and ``end``."""
        return all(end < crossing.start or start > crossing.end for crossing in self.crossings)

    def mesh(self, atlas: Atlas) -> Mesh:
        """Return the ground as two triangles per cell; side roads are asphalt."""
        s = np.arange(0.0, self.length, CELL_LENGTH_M)
        heights = self._heights(s)
        paved = np.array([not self.is_free(start + 0.1, start + CELL_LENGTH_M - 0.1) for start in s[:-1]])
        strips = []
        for i, (right, left) in enumerate(zip(self.section[:-1], self.section[1:], strict=True)):
            if not right.texture:
                continue
            lower, upper = (self.point(s, edge.t, heights[:, i + k]) for k, edge in enumerate((right, left)))
            uv = _strip_uv(right, left, s)
            is_road = right.texture == "road"
            cells = np.stack([lower[:-1], lower[1:], upper[1:], upper[:-1]], axis=1)
            paved_rows = paved & (not is_road)
            for texture, rows in ((right.texture, ~paved | is_road), ("asphalt", paved_rows)):
                if rows.any():
                    label = Label.ROAD if is_road or rows is paved_rows else ground_label(texture)
                    strips += [
                        quads(cells[rows][:, pick], atlas.index(texture), uv[rows][:, pick], kind=GROUND).labelled(
                            label
                        )
                        for pick in ([0, 1, 2, 2], [0, 2, 3, 3])
                    ]
        return concatenate(strips)

    def _heights(self, s: Floats) -> Floats:
        """Return (S, E) heights of the E edges above the road's level at S positions."""
        free = np.array([self.is_free(at - CELL_LENGTH_M / 2, at + CELL_LENGTH_M / 2) for at in s], np.float64)
        columns = []
        for edge in self.section:
            relief = np.interp(s, self._at, self._relief[int(edge.t > 0)])
            columns.append((edge.height + edge.relief * relief) * free)
        return np.stack(columns, axis=1)


def _strip_uv(right: Edge, left: Edge, s: Floats) -> Floats:
    """Return (S - 1, 4, 2) texture coordinates of a strip's cells."""
    across = np.hypot(left.t - right.t, left.height - right.height) / right.repeat if right.repeat else 1.0
    along = s / (right.repeat or MARKING_PERIOD_M)
    near, far = along[:-1], along[1:]
    zero, full = np.zeros_like(near), np.full_like(near, across)
    # u grows to the left, because markings are positioned from the right edge.
    return np.stack(
        [np.stack([u, v], axis=1) for u, v in ((zero, near), (zero, far), (full, far), (full, near))], axis=1
    )
