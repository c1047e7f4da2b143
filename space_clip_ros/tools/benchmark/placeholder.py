"""A camera and images for runs whose times do not depend on what the images show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from space_clip_ros.geometry.camera import PinholeCamera

_FOCAL_PER_WIDTH = 0.58
_SEED = 1


def placeholder_camera(width: int, height: int) -> PinholeCamera:
    """Return a camera with a field of view like KITTI's, for images of ``width`` x ``height`` pixels."""
    focal = _FOCAL_PER_WIDTH * width
    return PinholeCamera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def placeholder_images(width: int, height: int, batch: int = 1) -> npt.NDArray[np.uint8]:
    """Return ramps with noise, (batch, height, width, 3) uint8 RGB, the same at every call."""
    noise = np.random.default_rng(_SEED).normal(0, 20, (batch, height, width, 3))
    return np.clip(np.linspace(40, 200, width)[:, None] + noise, 0, 255).astype(np.uint8)
