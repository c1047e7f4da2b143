"""Points of surfaces that pixels see: what textures, light and shadows are looked up with."""

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
class Points:
    """P points, each the one that a pixel sees of a facet.

    Attributes:
        x: (P,) float32 columns of the pixels.
        y: (P,) float32 rows of the pixels.
        jitter: two times (P,) float32 in [-0.5, 0.5), random but the same for a pixel in every frame.
        facet: (P,) intp rows of the table of facets at hand; indices of another type cost a copy at every look-up.
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
    ) -> Points:
        """Return points at pixels.

        Args:
            camera: where the pixels are.
            pixel: (P,) y * width + x, or a slice of them, which is faster.
            facet: (P,) rows of a table of facets.
            inverse: (P,) one over metres along the optical axis.
        """
        grid = _pixel_grid(camera.width, camera.height)
        x, y, *jitter = (part[pixel] if isinstance(pixel, slice) else part.take(pixel) for part in grid)
        return cls(x, y, (jitter[0], jitter[1]), facet, np.reciprocal(inverse))


def pixels_to_rays(camera: PinholeCamera) -> NDArray[np.float64]:
    """Return (3, 3): from pixel (x, y, 1) to the ray with z = 1."""
    return np.array([[1 / camera.fx, 0, -camera.cx / camera.fx], [0, 1 / camera.fy, -camera.cy / camera.fy], [0, 0, 1]])


@lru_cache(maxsize=4)
def _pixel_grid(width: int, height: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return x, y and two jitters of every pixel, (height * width,) float32 each."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32).reshape(2, -1)
    across, down = (np.resize(jitter, width * height) for jitter in _JITTER)
    return x, y, across, down
