"""Shadows of the sun near the camera: a height map seen from the sun."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic import raster
from space_clip_ros.synthetic.mesh import CUTOUT, SOLID, Mesh
from space_clip_ros.synthetic.surface_points import SurfacePoints, pixels_to_rays
from space_clip_ros.synthetic.z_buffer import ZBuffer

_CELLS = 512
_CELL = 0.18
_AHEAD = 32.0
_BIAS = 0.25
_LEAFINESS = 60


class ShadowMap:
    """A height map, as the sun sees it, of a square of about 90 m around a point ahead of the camera."""

    def __init__(
        self, mesh: Mesh, to_sun: NDArray[np.floating], pose: NDArray[np.floating], camera: PinholeCamera
    ) -> None:
        """Draw what casts shadows.

        Args:
            mesh: in world coordinates.
            to_sun: (3,) unit vector.
            pose: (4, 4) camera to world.
            camera: intrinsics.
        """
        right = np.cross([0.0, 0.0, 1.0], to_sun)
        right /= np.linalg.norm(right)
        up = np.cross(to_sun, right)
        axes = np.stack([right, up, to_sun])
        center = pose[:3, 3] + pose[:3, 2] * _AHEAD
        scale = np.array([1 / _CELL, 1 / _CELL, 1.0])
        shift = np.array([_CELLS / 2, _CELLS / 2, 0.0]) - axes @ center * scale
        caster = (mesh.kind == SOLID) | (mesh.kind == CUTOUT)
        near = np.abs(mesh.corners[:, 0] - center).max(axis=1) < _CELLS * _CELL
        quads = mesh.corners[caster & near] @ axes.T * scale + shift
        z_buffer = ZBuffer(_CELLS, _CELLS)
        facets = raster.orthographic(quads, _CELLS, _CELLS)
        leafy = mesh.kind[caster & near][facets.index] == CUTOUT

        def blocks_light(fragments: raster.Fragments) -> NDArray[np.bool_]:
            # Foliage lets light through in spots; a hash of the map's cell decides where.
            spot = (fragments.pixel * 2654435761 >> 12) % 100 < _LEAFINESS
            return np.asarray(spot | ~leafy.take(fragments.facet))

        z_buffer.draw(facets, np.arange(len(facets.index)), blocks_light)
        self._height = z_buffer.value
        self._affine = (scale[:, None] * (axes @ pose[:3, :3] @ pixels_to_rays(camera))).astype(np.float32)
        self._offset = (axes @ pose[:3, 3] * scale + shift).astype(np.float32)

    def lit(self, points: SurfacePoints, soft: bool = False) -> NDArray[np.float32]:
        """Return (P,) shares of sunlight that reach points; 1 outside the map.

        Args:
            points: where.
            soft: blend the edges of shadows over a cell of the map, by a random shift of every pixel.
        """
        column, row, height = (self._along(axis, points) for axis in range(3))
        if soft:
            column += points.jitter[0]
            row += points.jitter[1]
        height += np.float32(_BIAS)
        inside = (column >= 1) & (column < _CELLS - 2) & (row >= 1) & (row < _CELLS - 2)
        # Points outside the map read its first cells; their result is replaced below.
        at = row.astype(np.int32)
        at *= _CELLS
        at += column.astype(np.int32)
        at *= inside
        cell = at.astype(np.intp)
        share = np.zeros(len(cell), np.uint8)
        for step in (0, 1, _CELLS - 1, 1):
            cell += step
            share += (self._height.take(cell) < height).view(np.uint8)
        np.maximum(share, (~inside).view(np.uint8) * np.uint8(4), out=share)
        return np.multiply(share, 0.25, dtype=np.float32)

    def _along(self, axis: int, points: SurfacePoints) -> NDArray[np.float32]:
        """Return (P,) coordinates of points in the map: column, row, or height above the map's middle."""
        a, b, c = self._affine[axis]
        value = points.x * a
        value += points.y * b
        value += c
        value *= points.depth
        value += self._offset[axis]
        return np.asarray(value)
