"""Renders a mesh from one camera: exact depth, and colours lit by sun, shadows, sky and haze."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.labels import Label
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic import raster
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.light import Light, sky_image
from space_clip_ros.synthetic.mesh import CUTOUT, DECAL, GROUND, Mesh
from space_clip_ros.synthetic.shading import Shading, TextureLookup
from space_clip_ros.synthetic.shadows import ShadowMap
from space_clip_ros.synthetic.surface_points import SurfacePoints
from space_clip_ros.synthetic.z_buffer import ZBuffer

FAR_M = 400.0
"""Surfaces wholly beyond this are not drawn, metres."""

_CHUNK = 40_000


@dataclass(frozen=True)
class CameraView:
    """A mesh as one camera sees it.

    Attributes:
        mesh: the mesh in world coordinates.
        atlas: its textures.
        camera: intrinsics.
        pose: (4, 4) camera to world; z is forward, y is down.
        far: surfaces wholly beyond this are not drawn, metres.
    """

    mesh: Mesh
    atlas: Atlas
    camera: PinholeCamera
    pose: NDArray[np.floating]
    far: float = FAR_M

    @cached_property
    def corners(self) -> NDArray[np.floating]:
        """(N, 4, 3) corners in camera coordinates."""
        return np.asarray((self.mesh.corners - self.pose[:3, 3]) @ self.pose[:3, :3])

    @cached_property
    def facets(self) -> raster.Facets:
        """Every quad that may be visible, except decals."""
        return self._prepare(self.mesh.kind != DECAL)

    @cached_property
    def z_buffer(self) -> ZBuffer:
        """For every pixel, inverse depth (-inf for the sky) and the row of :attr:`facets` it sees (-1 for the sky)."""
        z_buffer = ZBuffer(self.camera.width, self.camera.height)
        cutout = self.mesh.kind[self.facets.index] == CUTOUT
        z_buffer.draw(self.facets, np.flatnonzero(~cutout))
        place = np.cumsum(cutout) - 1
        lookup = self._lookup(self.facets.index[cutout])

        def opaque(fragments: raster.Fragments) -> NDArray[np.bool_]:
            kept = np.empty(len(fragments.pixel), np.bool_)
            for start in range(0, len(kept), _CHUNK):
                part = slice(start, start + _CHUNK)
                facet = place.take(fragments.facet[part])
                points = SurfacePoints.at(self.camera, fragments.pixel[part], facet, fragments.value[part])
                np.greater_equal(lookup.texels(points)[:, 3], 128, out=kept[part])
            return kept

        z_buffer.draw(self.facets, np.flatnonzero(cutout), opaque)
        return z_buffer

    def depth(self) -> NDArray[np.float32]:
        """Return (H, W) float32 metres along the optical axis at pixel centres, NaN for the sky."""
        inverse = self.z_buffer.value
        depth = np.where(inverse > 0, 1 / inverse, np.float32(np.nan))
        return np.asarray(depth.reshape(self.camera.height, self.camera.width), np.float32)

    def labels(self) -> NDArray[np.uint8]:
        """Return (H, W) uint8 classes at pixel centres, each a :class:`~space_clip_ros.data.labels.Label`."""
        seen = np.append(self.mesh.label[self.facets.index], np.uint8(Label.SKY))  # row -1, the last, is the sky
        return np.asarray(seen[self.z_buffer.facet].reshape(self.camera.height, self.camera.width))

    def color(self, light: Light) -> NDArray[np.float32]:
        """Return (H, W, 3) float32 linear RGB, a view of three planes."""
        width, height = self.camera.width, self.camera.height
        planes = np.empty((3, height * width), np.float32)
        front, inverse = self.z_buffer.facet, self.z_buffer.value
        sky = front < 0
        sky_rows = height - int(sky[::-1].argmax()) // width if sky.any() else 0
        above = sky_image(light, self.camera, self.pose[:3, :3], sky_rows)
        for plane, part in zip(planes, np.moveaxis(above, 2, 0), strict=True):
            plane[: sky_rows * width] = part.ravel()
        paint = self._paint(front, inverse)
        # Most quads are hidden behind others: prepare only the visible ones.
        seen = np.bincount(front + 1, minlength=len(self.facets.index) + 1)[1:] > 0
        place, index = np.cumsum(seen) - 1, self.facets.index[seen]
        lookup, shading = self._lookup(index), Shading(self.mesh, index, light)
        shadow = ShadowMap(self.mesh, light.to_sun, self.pose, self.camera) if light.sun.any() else None

        def shade(pixel: slice | NDArray[np.intp], out: NDArray[np.float32]) -> None:
            facet = place.take(front[pixel])
            points = SurfacePoints.at(self.camera, pixel, facet, inverse[pixel])
            sunlit = None if shadow is None else shadow.lit(points, light.soft_shadows)
            shading.color(lookup.texels(points), paint[pixel], points, sunlit, out)

        chunk = max(_CHUNK // width, 1) * width
        for start in range(0, height * width, chunk):
            part = slice(start, start + chunk)
            if not sky[part].any():
                shade(part, planes[:, part])
                continue
            pixel = np.flatnonzero(~sky[part]) + start
            result = np.empty((3, len(pixel)), np.float32)
            shade(pixel, result)
            for plane, values in zip(planes, result, strict=True):
                plane[pixel] = values
        return planes.reshape(3, height, width).transpose(1, 2, 0)

    def _prepare(self, wanted: NDArray[np.bool_]) -> raster.Facets:
        rows = np.flatnonzero(wanted)
        two_sided = self.mesh.kind[rows] == CUTOUT
        facets = raster.perspective(self.corners[rows], self.camera, two_sided, self.far)
        return raster.Facets(facets.edges, facets.value, facets.box, rows[facets.index])

    def _paint(self, front: NDArray[np.int32], inverse: NDArray[np.float32]) -> NDArray[np.uint32]:
        """Return (H * W,) RGBA, four bytes each, of the decals on visible ground; 0 elsewhere."""
        paint = np.zeros(self.camera.width * self.camera.height, np.uint32)
        decals = self._prepare(self.mesh.kind == DECAL)
        fragments = raster.fragments(decals, self.camera.width, self.camera.height)
        below = inverse.take(fragments.pixel)
        seen = front.take(fragments.pixel)
        on_ground = (seen >= 0) & (self.mesh.kind[self.facets.index] == GROUND)[seen]
        # The ground bends a little between a decal's corners. A larger difference means another surface.
        fragments = fragments.select(np.flatnonzero(on_ground & (np.abs(fragments.value - below) < 0.03 * below)))
        points = SurfacePoints.at(self.camera, fragments.pixel, fragments.facet, fragments.value)
        paint[fragments.pixel] = self._lookup(decals.index).texels(points).view(np.uint32)[:, 0]
        return paint

    def _lookup(self, rows: NDArray[np.intp]) -> TextureLookup:
        """Return the texture lookup of some rows of the mesh."""
        return TextureLookup(self.mesh, self.corners, rows, self.atlas, self.camera)
