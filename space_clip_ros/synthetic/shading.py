"""Colours of visible surfaces: which texel a pixel shows, and what light falls on it.

This runs on every pixel of every frame, so each array holds one channel and tables are small.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic import raster
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.light import Light
from space_clip_ros.synthetic.mesh import CUTOUT, SOLID, Mesh
from space_clip_ros.synthetic.surface_points import SurfacePoints, pixels_to_rays

Floats = NDArray[np.float32]

_LINEAR = (np.arange(256, dtype=np.float32) / 255.0) ** 2
_SHARE = np.float32(1 / 255)


class TextureLookup:
    """Looks up texels of facets; texture coordinates times inverse depth are affine in the image."""

    def __init__(
        self, mesh: Mesh, corners: NDArray[np.floating], rows: NDArray[np.intp], atlas: Atlas, camera: PinholeCamera
    ) -> None:
        """Prepare facets.

        Args:
            mesh: all quads.
            corners: (N, 4, 3) of all quads in camera coordinates.
            rows: which quads.
            atlas: their textures.
            camera: where the pixels are.
        """
        corners, uv = corners[rows], mesh.uv[rows]
        normal = raster.normals(corners)
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        # Gradients g of u in the plane: g . first = du1, g . second = du2, g . normal = 0.
        square = np.einsum("ij,ij->i", normal, raster.cross(first, second))[:, None, None]
        dual = np.stack([raster.cross(second, normal), raster.cross(normal, first)], axis=1) / square
        change = np.stack([uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]], axis=1)
        gradient = np.einsum("nij,nik->nkj", dual, change)  # (N, u and v, 3), per metre
        offset = uv[:, 0] - np.einsum("ij,ikj->ik", corners[:, 0], gradient)
        affine = gradient @ pixels_to_rays(camera)
        distance = np.abs(np.einsum("ij,ij->i", normal, corners[:, 0])) / np.linalg.norm(normal, axis=1)
        texture = mesh.texture[rows]
        density = np.linalg.norm(gradient, axis=2).prod(axis=1) * atlas.sizes[texture].astype(np.float64) ** 2
        # A pixel's footprint has area (z / f)^2 * z / distance; 1.5 makes truncating its logarithm round.
        blur = 1.5 * density / (camera.fx * camera.fy * np.maximum(distance, 1e-3))
        self._u = self._columns(np.concatenate([affine[:, 0], offset[:, :1]], axis=1))
        self._v = self._columns(np.concatenate([affine[:, 1], offset[:, 1:]], axis=1))
        self._blur = blur.astype(np.float32)
        self._texture, self._atlas = texture, atlas

    def texels(self, points: SurfacePoints) -> NDArray[np.uint8]:
        """Return (P, 4) uint8 RGBA at points, whose facets index the rows given to the constructor."""
        u, v = self._at(self._u, points), self._at(self._v, points)
        area = self._blur.take(points.facet)
        for _ in range(3):
            area *= points.depth
        # A float's exponent is its logarithm to base 2, truncated; half of it is the logarithm of the side.
        level = ((area.view(np.int32) >> 23) - 127) >> 1
        return self._atlas.sample(self._texture.take(points.facet), u, v, level, points.jitter)

    @staticmethod
    def _at(columns: Floats, points: SurfacePoints) -> Floats:
        a, b, c, offset = columns
        value = a.take(points.facet)
        value *= points.x
        along = b.take(points.facet)
        along *= points.y
        value += along
        value += c.take(points.facet)
        value *= points.depth
        value += offset.take(points.facet)
        return np.asarray(value)

    @staticmethod
    def _columns(table: NDArray[np.floating]) -> Floats:
        return np.ascontiguousarray(table.T, np.float32)


class Shading:
    """Lights facets with sun, sky and haze."""

    def __init__(self, mesh: Mesh, rows: NDArray[np.intp], light: Light) -> None:
        """Prepare facets: ``rows`` of ``mesh`` under ``light``."""
        normal = mesh.normals[rows]
        direct = (normal @ light.to_sun).clip(0, 1)
        # Leaves are translucent and point every way, so none is fully lit and none fully dark.
        leaf = mesh.kind[rows] == CUTOUT
        direct = np.where(leaf, 0.3 + 0.6 * direct, direct)
        up = (0.5 + 0.5 * normal[:, 2:]).clip(0, 1)
        self._tint = np.ascontiguousarray(mesh.tint[rows].T, np.float32)
        self._ambient = np.ascontiguousarray((light.sky * up + light.bounce * (1 - up)).T, np.float32)
        self._sun = np.ascontiguousarray((direct[:, None] * light.sun).T, np.float32)
        self._occlusion = np.float32(light.occlusion)
        self._solid = mesh.kind[rows] == SOLID
        self._haze_rate = np.float32(-light.haze)
        self._haze = np.asarray(light.horizon * 0.8, np.float32)

    def color(
        self,
        texels: NDArray[np.uint8],
        paint: NDArray[np.uint32],
        points: SurfacePoints,
        sunlit: Floats | None,
        out: Floats,
    ) -> None:
        """Compute linear RGB.

        Args:
            texels: (P, 4) RGBA of the surfaces.
            paint: (P,) RGBA, four bytes each, painted over them.
            points: P points, whose facets index the rows given to the constructor.
            sunlit: (P,) shares of sunlight that arrive; None without sun.
            out: (3, P) float32, the result.
        """
        facet = points.facet
        untinted = np.flatnonzero(texels[:, 3] < 250)
        untinted = untinted[self._solid.take(facet.take(untinted))]
        keep = 1 - texels[untinted, 3] * _SHARE
        painted = np.flatnonzero(paint)
        over = paint.take(painted).view(np.uint8).reshape(-1, 4)
        share = over[:, 3] * _SHARE
        transmission = points.depth * self._haze_rate
        np.exp(transmission, out=transmission)
        sky_seen = None if sunlit is None else 1 - self._occlusion * (1 - sunlit)
        for channel, color in enumerate(out):
            _LINEAR.take(texels[:, channel], out=color, mode="clip")  # any other mode would copy
            tint = self._tint[channel].take(facet)
            tint[untinted] += (1 - tint[untinted]) * keep
            color *= tint
            color[painted] += (_LINEAR.take(over[:, channel]) - color[painted]) * share
            light = self._ambient[channel].take(facet)
            if sunlit is not None:
                direct = self._sun[channel].take(facet)
                direct *= sunlit
                if self._occlusion:
                    light *= sky_seen
                light += direct
            color *= light
            haze = self._haze[channel]
            color -= haze
            color *= transmission
            color += haze
