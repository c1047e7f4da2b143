"""A spinning laser scanner: 64 beams like a Velodyne HDL-64E's, over the field ahead.

Every beam hits exactly the plane of the quad that its nearest pixel of a picture from the scanner's place sees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.render import View

ELEVATIONS = np.radians(np.concatenate([np.linspace(2.0, -8.33, 32), np.linspace(-8.83, -24.8, 32)]))
"""Angle of each beam above the horizon, radians, from the top (Velodyne HDL-64E S2 manual)."""

AZIMUTH_STEP = float(np.radians(0.1728))
"""Angle between firings at 10 turns a second, radians."""

FIELD = float(np.radians(90.0))
"""Horizontal field scanned, centred ahead, radians; more than the 81 degrees KITTI's camera sees."""

RANGE = 120.0
"""Farthest return, metres."""

NOISE = 0.02
"""Standard deviation of a range, metres."""

_DROPOUT = 0.04
_NEAREST = 0.9

SCAN_CAMERA = PinholeCamera(705, 255, 350.0, 350.0, 352.0, 20.0)
"""Picture from the scanner that finds which quad a beam hits: a column and two rows a beam or more, and all beams."""

_TO_SCANNER = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def scan(
    view_from: Callable[[PinholeCamera, NDArray[np.floating], float], View], pose: NDArray[np.floating], rng: Rng
) -> NDArray[np.float32]:
    """Return one scan, (N, 4) float32: x forward, y left, z up, metres, in the scanner's frame; intensity in [0, 1].

    Args:
        view_from: the scene as a camera at a pose sees it, up to a distance.
        pose: (4, 4) scanner to world.
        rng: source of noise and dropouts.
    """
    looking = pose.copy()
    looking[:3, :3] = pose[:3, :3] @ _TO_SCANNER
    view = view_from(SCAN_CAMERA, looking, RANGE)
    firings = np.arange(-FIELD / 2, FIELD / 2, AZIMUTH_STEP) + rng.uniform(0, AZIMUTH_STEP)
    facet = view.canvas.facet.take(_pixels(firings))
    hit = np.flatnonzero(facet >= 0)
    facet, ray = facet.take(hit), _rays(firings).take(hit, axis=0)
    # A quad's inverse depth a x + b y + c is also the plane of all points with normal @ point = 1.
    a, b, c = view.facets.value.T
    normal = np.stack([a * SCAN_CAMERA.cx + b * SCAN_CAMERA.cy + c, -a * SCAN_CAMERA.fx, -b * SCAN_CAMERA.fy], axis=1)
    inverse = np.einsum("ij,ij->i", normal.take(facet, axis=0), ray)
    distance = (1 / np.maximum(inverse, 1e-6)).astype(np.float32)
    slant = (inverse / np.linalg.norm(normal, axis=1).take(facet)).astype(np.float32)
    quad = view.facets.index
    albedo = view.atlas.brightness[view.mesh.texture[quad]] ** 2 * view.mesh.tint[quad].mean(axis=1)
    intensity = albedo.astype(np.float32).take(facet) * (0.3 + 0.7 * slant)
    intensity *= 1 + 0.1 * rng.standard_normal(len(hit), np.float32)
    intensity = intensity.clip(0, 0.99)
    # Dark, slanted and distant surfaces send less light back.
    echo = (intensity + 0.05) * np.exp(distance * np.float32(-1 / 80.0))
    lost = rng.random(len(hit), np.float32) < _DROPOUT + 0.5 * np.exp(echo * np.float32(-1 / 0.01))
    returned = np.flatnonzero(~lost & (distance > _NEAREST) & (distance < RANGE))
    points = np.empty((len(returned), 4), np.float32)
    noisy = distance.take(returned) + NOISE * rng.standard_normal(len(returned), np.float32)
    np.multiply(ray.take(returned, axis=0), noisy[:, None], out=points[:, :3], casting="same_kind")
    points[:, 3] = intensity.take(returned)
    return points


def _pixels(firings: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the pixel of every beam, (64 * F,), beam by beam."""
    column = np.rint(SCAN_CAMERA.cx - SCAN_CAMERA.fx * np.tan(firings)).astype(np.intp)
    row = np.rint(SCAN_CAMERA.cy - SCAN_CAMERA.fy * np.outer(np.tan(ELEVATIONS), 1 / np.cos(firings))).astype(np.intp)
    return np.asarray(row * SCAN_CAMERA.width + column).ravel()


def _rays(firings: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the direction of every beam, (64 * F, 3), beam by beam, in the scanner's frame."""
    level = np.cos(ELEVATIONS)
    up = np.broadcast_to(np.sin(ELEVATIONS)[:, None], (len(ELEVATIONS), len(firings)))
    ray = np.stack([np.outer(level, np.cos(firings)), np.outer(level, np.sin(firings)), up], axis=2)
    return np.asarray(ray.reshape(-1, 3))
