"""The images that an export is tried on: synthetic ones, and real ones resized to the size of the export."""

from __future__ import annotations

import cv2
import numpy as np

from space_clip_ros.geometry.color import Rgb

ANY_SIZES = ((375, 1242), (480, 640), (97, 131))
"""Heights and widths tried for files that take any size: of common cameras, and odd ones below the network's input."""
_SEED = 42


def synthetic_images(height: int, width: int) -> list[Rgb]:
    """Return noise, ramps with hard-edged boxes, and a saturated checkerboard, each (height, width, 3) uint8 RGB."""
    random = np.random.default_rng(_SEED)
    noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = np.mgrid[0:height, 0:width]
    across, down = columns * 255 // width, rows * 255 // height
    boxes = np.stack([across, down, (across + down) // 2], axis=-1).astype(np.uint8)
    for left, top in random.random((12, 2)):
        x, y = int(left * width), int(top * height)
        boxes[y : y + max(2, height // 5), x : x + max(2, width // 8)] = random.integers(0, 256, 3)
    checkerboard = np.repeat(((rows // 16 + columns // 16) % 2 * 255).astype(np.uint8)[..., None], 3, axis=-1)
    return [noise, boxes, checkerboard]


def fit(image: Rgb, size: tuple[int, int]) -> Rgb:
    """Resize an image to (height, width); both sides of a comparison see the result, so any interpolation will do."""
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA), dtype=np.uint8)
