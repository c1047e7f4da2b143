"""A spinning laser scanner: 64 beams like a Velodyne HDL-64E's, over the field ahead.

Every beam hits exactly the plane of the quad that its nearest pixel of a fine picture from the scanner's place sees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.scenery.noise import Rng
from space_clip_ros.data.scenery.render import View
from space_clip_ros.geometry.camera import PinholeCamera

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

SCAN_CAMERA = PinholeCamera(1101, 400, 550.0, 550.0, 550.0, 32.0)
"""Picture from the scanner that finds which quad a beam hits; it covers all beams."""

_TO_SCANNER = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def scan(
    view_from: Callable[[PinholeCamera, NDArray[np.floating]], View], pose: NDArray[np.floating], rng: Rng
) -> NDArray[np.float32]:
    """Return one scan, (N, 4) float32: x forward, y left, z up, metres, in the scanner's frame; intensity in [0, 1].

    Args:
        view_from: the scene as a camera at a pose sees it.
        pose: (4, 4) scanner to world.
        rng: source of noise and dropouts.
    """
    firings = np.arange(-FIELD / 2, FIELD / 2, AZIMUTH_STEP) + rng.uniform(0, AZIMUTH_STEP)
    elevation, azimuth = (grid.ravel() for grid in np.meshgrid(ELEVATIONS, firings, indexing="ij"))
    ray = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=1
    )
    looking = pose.copy()
    looking[:3, :3] = pose[:3, :3] @ _TO_SCANNER
    view = view_from(SCAN_CAMERA, looking)
    x = SCAN_CAMERA.cx - SCAN_CAMERA.fx * ray[:, 1] / ray[:, 0]
    y = SCAN_CAMERA.cy - SCAN_CAMERA.fy * ray[:, 2] / ray[:, 0]
    column, row = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
    facet = view.canvas.facet[row * SCAN_CAMERA.width + column]
    hit = np.flatnonzero(facet >= 0)
    facet, ray, plane = facet[hit], ray[hit], view.facets.value[facet[hit]]
    inverse = plane[:, 0] * x[hit] + plane[:, 1] * y[hit] + plane[:, 2]
    distance = 1 / np.maximum(inverse * ray[:, 0], 1e-6)
    quad = view.facets.index[facet]
    slant = np.abs(np.einsum("ij,ij->i", view.mesh.normals[quad], ray @ pose[:3, :3].T))
    albedo = view.atlas.brightness[view.mesh.texture[quad]] ** 2 * view.mesh.tint[quad].mean(axis=1)
    intensity = (albedo * (0.3 + 0.7 * slant) * rng.normal(1.0, 0.1, len(quad))).clip(0, 0.99)
    # Dark, slanted and distant surfaces send less light back.
    echo = (intensity + 0.05) * np.exp(-distance / 80.0)
    lost = rng.random(len(quad)) < _DROPOUT + 0.5 * np.exp(-echo / 0.01)
    returned = ~lost & (distance > _NEAREST) & (distance < RANGE)
    noisy = (distance + rng.normal(0.0, NOISE, len(quad)))[returned, None]
    return np.asarray(np.concatenate([ray[returned] * noisy, intensity[returned, None]], axis=1), np.float32)
