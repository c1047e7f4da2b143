"""A camera, images and depth for runs whose times do not depend on what the images show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from space_clip_ros.geometry.camera import PinholeCamera

_FOCAL_PER_WIDTH = 0.58
_SEED = 1
_CAMERA_HEIGHT_M, _HALF_STREET_M, _FURTHEST_M = 1.65, 8.0, 60.0


def placeholder_camera(width: int, height: int) -> PinholeCamera:
    """Return a camera with a field of view like KITTI's, for images of ``width`` x ``height`` pixels."""
    focal = _FOCAL_PER_WIDTH * width
    return PinholeCamera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def placeholder_images(width: int, height: int, batch: int = 1) -> npt.NDArray[np.uint8]:
    """Return ramps with noise, (batch, height, width, 3) uint8 RGB, the same at every call."""
    noise = np.random.default_rng(_SEED).normal(0, 20, (batch, height, width, 3))
    return np.clip(np.linspace(40, 200, width)[:, None] + noise, 0, 255).astype(np.uint8)


def placeholder_street(width: int, height: int) -> npt.NDArray[np.float32]:
    """Return (height, width) float32 metres of level ground between two rows of houses, as a level camera sees it."""
    camera = placeholder_camera(width, height)
    with np.errstate(divide="ignore"):
        ground = _CAMERA_HEIGHT_M * camera.fy / np.maximum(np.arange(height) - camera.cy, 0)[:, None]
        houses = _HALF_STREET_M * camera.fx / np.abs(np.arange(width) - camera.cx)
    return np.asarray(np.minimum(np.minimum(ground, houses), _FURTHEST_M), np.float32)
