"""The surface points that pixels see; textures, light and shadows are looked up with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.camera import PinholeCamera

Floats = NDArray[np.float32]

_JITTERS = 2**14
_JITTER = np.random.default_rng(0).uniform(-0.5, 0.5, (2, _JITTERS)).astype(np.float32)


@dataclass(frozen=True)
class SurfacePoints:
    """P points, each where one pixel's ray meets a facet.

    Attributes:
        x: (P,) float32 columns of the pixels.
        y: (P,) float32 rows of the pixels.
        jitter: two (P,) float32 arrays in [-0.5, 0.5), random but the same for a pixel in every frame.
        facet: (P,) intp rows of a table of facets; indices of another type would cost a copy at every look-up.
        depth: (P,) float32 metres along the optical axis.
    """

    x: Floats
    y: Floats
    jitter: tuple[Floats, Floats]
    facet: NDArray[np.intp]
    depth: Floats

    @classmethod
    def at(
        cls, camera: PinholeCamera, pixel: slice | NDArray[np.intp], facet: NDArray[np.intp], inverse: Floats
    ) -> SurfacePoints:
        """Return the points that some pixels see.

        Args:
            camera: where the pixels are.
            pixel: (P,) y * width + x, or a slice of those numbers, which is faster.
            facet: (P,) rows of a table of facets.
            inverse: (P,) inverse depth, 1/metres.
        """
        grid = _pixel_grid(camera.width, camera.height)
        x, y, *jitter = (part[pixel] if isinstance(pixel, slice) else part.take(pixel) for part in grid)
        return cls(x, y, (jitter[0], jitter[1]), facet, np.reciprocal(inverse))


def pixels_to_rays(camera: PinholeCamera) -> NDArray[np.float64]:
    """Return the (3, 3) matrix from pixel (x, y, 1) to its ray with z = 1."""
    return np.array([[1 / camera.fx, 0, -camera.cx / camera.fx], [0, 1 / camera.fy, -camera.cy / camera.fy], [0, 0, 1]])


@lru_cache(maxsize=4)
def _pixel_grid(width: int, height: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return x, y and both jitters of every pixel, (height * width,) float32 each."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32).reshape(2, -1)
    across, down = (np.resize(jitter, width * height) for jitter in _JITTER)
    return x, y, across, down
