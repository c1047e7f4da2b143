"""One picture of a mesh: exact depth, and colours shaded by sun, shadows, sky and haze."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.scenery import raster
from space_clip_ros.data.scenery.atlas import Atlas
from space_clip_ros.data.scenery.canvas import Canvas
from space_clip_ros.data.scenery.light import Light, sky_picture
from space_clip_ros.data.scenery.mesh import CUTOUT, DECAL, GROUND, Mesh
from space_clip_ros.data.scenery.shading import Lookup, Shading
from space_clip_ros.data.scenery.shadows import ShadowMap
from space_clip_ros.geometry.camera import PinholeCamera

FAR = 400.0
"""Surfaces wholly beyond this are not drawn, metres."""

_CHUNK = 40_000


@dataclass(frozen=True)
class View:
    """A mesh as one camera sees it.

    Attributes:
        mesh: the mesh in world coordinates.
        atlas: its textures.
        camera: intrinsics.
        pose: (4, 4) camera to world; the camera looks along its z, y is down.
    """

    mesh: Mesh
    atlas: Atlas
    camera: PinholeCamera
    pose: NDArray[np.floating]

    @cached_property
    def corners(self) -> NDArray[np.floating]:
        """(N, 4, 3) corners in camera coordinates."""
        return np.asarray((self.mesh.corners - self.pose[:3, 3]) @ self.pose[:3, :3])

    @cached_property
    def facets(self) -> raster.Facets:
        """Every quad that may be seen, decals left out."""
        return self._prepare(self.mesh.kind != DECAL)

    @cached_property
    def lookup(self) -> Lookup:
        """Texture coordinates of :attr:`facets`."""
        return Lookup(self.mesh, self.corners, self.facets.index, self.atlas, self.camera)

    @cached_property
    def canvas(self) -> Canvas:
        """Inverse depth, -inf for the sky, and the row of :attr:`facets` seen, -1 for the sky."""
        canvas = Canvas(self.camera.width, self.camera.height)
        cutout = self.mesh.kind[self.facets.index] == CUTOUT

        def keep(found: raster.Fragments) -> NDArray[np.bool_]:
            return self.lookup.texels(found.pixel, found.facet, np.reciprocal(found.value))[:, 3] >= 128

        canvas.draw(self.facets, np.flatnonzero(~cutout))
        canvas.draw(self.facets, np.flatnonzero(cutout), keep)
        return canvas

    def depth(self) -> NDArray[np.float32]:
        """Return (H, W) float32 metres along the optical axis at pixel centres, NaN for the sky."""
        inverse = self.canvas.value
        depth = np.where(inverse > 0, 1 / inverse, np.float32(np.nan))
        return np.asarray(depth.reshape(self.camera.height, self.camera.width), np.float32)

    def color(self, light: Light) -> NDArray[np.float32]:
        """Return (H, W, 3) float32 linear RGB."""
        height, width = self.camera.height, self.camera.width
        picture = sky_picture(light, self.camera, self.pose[:3, :3]).reshape(-1, 3)
        paint = self._paint()
        shading = Shading(self.mesh, self.facets.index, light)
        shadow = ShadowMap(self.mesh, light.to_sun, self.pose, self.camera) if light.sun.any() else None
        seen = np.flatnonzero(self.canvas.facet >= 0)
        for start in range(0, len(seen), _CHUNK):
            pixel = seen[start : start + _CHUNK]
            facet, depth = self.canvas.facet.take(pixel), np.reciprocal(self.canvas.value.take(pixel))
            texels = self.lookup.texels(pixel, facet, depth)
            sunlit = None if shadow is None else shadow.lit(pixel, depth)
            picture[pixel] = shading.color(texels, paint.take(pixel), facet, depth, sunlit).T
        return picture.reshape(height, width, 3)

    def _prepare(self, wanted: NDArray[np.bool_]) -> raster.Facets:
        rows = np.flatnonzero(wanted)
        two_sided = self.mesh.kind[rows] == CUTOUT
        facets = raster.perspective(self.corners[rows], self.camera, two_sided, FAR)
        return raster.Facets(facets.edges, facets.value, facets.box, rows[facets.index])

    def _paint(self) -> NDArray[np.uint32]:
        """Return (H * W,) RGBA, four bytes each, of the decals on the ground that is seen."""
        paint = np.zeros(self.camera.width * self.camera.height, np.uint32)
        decals = self._prepare(self.mesh.kind == DECAL)
        found = raster.fragments(decals, self.camera.width, self.camera.height)
        below = self.canvas.value.take(found.pixel)
        seen = self.canvas.facet.take(found.pixel)
        on_ground = (seen >= 0) & (self.mesh.kind[self.facets.index] == GROUND)[seen]
        # Ground bends a little between a decal's corners; what is farther off is another surface in front or behind.
        found = found.select(np.flatnonzero(on_ground & (np.abs(found.value - below) < 0.03 * below)))
        lookup = Lookup(self.mesh, self.corners, decals.index, self.atlas, self.camera)
        paint[found.pixel] = lookup.texels(found.pixel, found.facet, np.reciprocal(found.value)).view(np.uint32)[:, 0]
        return paint
