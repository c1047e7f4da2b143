"""A spinning laser scanner with 64 beams, like a Velodyne HDL-64E, over the field of view ahead.

An image rendered from the scanner shows which quad each beam hits: the one that its nearest pixel sees. The range is
then the exact distance to that quad's plane.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.mesh import Mesh
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.render import CameraView

ELEVATIONS_RAD = np.radians(np.concatenate([np.linspace(2.0, -8.33, 32), np.linspace(-8.83, -24.8, 32)]))
"""Angle of each beam above the horizon, radians, from the top (Velodyne HDL-64E S2 manual)."""

AZIMUTH_STEP_RAD = float(np.radians(0.1728))
"""Angle between firings at 10 rotations per second, radians."""

FIELD_OF_VIEW_RAD = float(np.radians(90.0))
"""Horizontal field of view, centred ahead, radians; more than the 81 degrees of KITTI's camera."""

MAX_RANGE_M = 120.0
"""Longest range, metres."""

RANGE_NOISE_M = 0.02
"""Standard deviation of a range, metres."""

_DROPOUT = 0.04
_NEAREST = 0.9

SCAN_CAMERA = PinholeCamera(705, 255, 350.0, 350.0, 352.0, 20.0)
"""Camera of the image that shows which quad each beam hits. It sees every beam in a column and at least two rows."""

_TO_SCANNER = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def scan(mesh: Mesh, atlas: Atlas, pose: NDArray[np.floating], rng: Rng) -> NDArray[np.float32]:
    """Return one scan, (N, 4) float32: x forward, y left, z up, metres, in the scanner's frame; intensity in [0, 1].

    Args:
        mesh: the scene in world coordinates.
        atlas: its textures.
        pose: (4, 4) scanner to world.
        rng: source of noise and dropouts.
    """
    looking = pose.copy()
    looking[:3, :3] = pose[:3, :3] @ _TO_SCANNER
    view = CameraView(mesh, atlas, SCAN_CAMERA, looking, MAX_RANGE_M)
    firings = np.arange(-FIELD_OF_VIEW_RAD / 2, FIELD_OF_VIEW_RAD / 2, AZIMUTH_STEP_RAD) + rng.uniform(
        0, AZIMUTH_STEP_RAD
    )
    facet = view.z_buffer.facet.take(_pixels(firings))
    hit = np.flatnonzero(facet >= 0)
    facet, ray = facet.take(hit), _rays(firings).take(hit, axis=0)
    # A quad's inverse depth a x + b y + c also gives its plane: all points with normal @ point = 1.
    a, b, c = view.facets.value.T
    normal = np.stack([a * SCAN_CAMERA.cx + b * SCAN_CAMERA.cy + c, -a * SCAN_CAMERA.fx, -b * SCAN_CAMERA.fy], axis=1)
    inverse = np.einsum("ij,ij->i", normal.take(facet, axis=0), ray)
    distance = (1 / np.maximum(inverse, 1e-6)).astype(np.float32)
    slant = (inverse / np.linalg.norm(normal, axis=1).take(facet)).astype(np.float32)
    quad = view.facets.index
    albedo = atlas.brightness[mesh.texture[quad]] ** 2 * mesh.tint[quad].mean(axis=1)
    intensity = albedo.astype(np.float32).take(facet) * (0.3 + 0.7 * slant)
    intensity *= 1 + 0.1 * rng.standard_normal(len(hit), np.float32)
    intensity = intensity.clip(0, 0.99)
    # Dark, slanted and distant surfaces reflect less light, so more of their echoes are lost.
    echo = (intensity + 0.05) * np.exp(distance * np.float32(-1 / 80.0))
    lost = rng.random(len(hit), np.float32) < _DROPOUT + 0.5 * np.exp(echo * np.float32(-1 / 0.01))
    returned = np.flatnonzero(~lost & (distance > _NEAREST) & (distance < MAX_RANGE_M))
    points = np.empty((len(returned), 4), np.float32)
    noisy = distance.take(returned) + RANGE_NOISE_M * rng.standard_normal(len(returned), np.float32)
    np.multiply(ray.take(returned, axis=0), noisy[:, None], out=points[:, :3], casting="same_kind")
    points[:, 3] = intensity.take(returned)
    return points


def _pixels(firings: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the pixel of every beam, (64 * F,), beam by beam."""
    column = np.rint(SCAN_CAMERA.cx - SCAN_CAMERA.fx * np.tan(firings)).astype(np.intp)
    row = np.rint(SCAN_CAMERA.cy - SCAN_CAMERA.fy * np.outer(np.tan(ELEVATIONS_RAD), 1 / np.cos(firings))).astype(
        np.intp
    )
    return np.asarray(row * SCAN_CAMERA.width + column).ravel()


def _rays(firings: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the direction of every beam, (64 * F, 3), beam by beam, in the scanner's frame."""
    level = np.cos(ELEVATIONS_RAD)
    up = np.broadcast_to(np.sin(ELEVATIONS_RAD)[:, None], (len(ELEVATIONS_RAD), len(firings)))
    ray = np.stack([np.outer(level, np.cos(firings)), np.outer(level, np.sin(firings)), up], axis=2)
    return np.asarray(ray.reshape(-1, 3))
