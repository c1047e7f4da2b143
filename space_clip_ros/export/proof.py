"""Proof that an exported file computes what the model does: both on the same images, the largest difference kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from space_clip_ros.errors import ExportError
from space_clip_ros.inference.backend import Depth, Rgb
from space_clip_ros.inference.backends.onnxruntime import OnnxSessions
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.image_to_depth import ImageToDepth

ANY_SIZES = ((375, 1242), (480, 640), (97, 131))
"""Heights and widths tried for files that take any size: cameras', and odd ones below the network's input."""
_ANY_BATCHES = (1, 2)
_RELATIVE_FLOOR = 0.01
_SEED = 42


@dataclass(frozen=True)
class Difference:
    """The largest differences seen.

    Attributes:
        absolute: metres.
        relative: over the depth, or over 1 % of the image's mean depth where that is more: next to the final ReLU's
            zeros every rounding would be infinitely large.
        mean: mean relative difference over all pixels of the worst image.
        images: how many images were compared.
    """

    absolute: float
    relative: float
    mean: float
    images: int


def compare(
    file: Path,
    model: SpaceClip,
    images: Sequence[Rgb],
    advance: Callable[[], None] = lambda: None,
    run: Callable[[Rgb], Depth] | None = None,
) -> Difference:
    """Run every image on the file (ONNX Runtime) and on the model (PyTorch), both on the CPU.

    Args:
        file: the exported file; run on as many images at once as it takes, on one and on two where it takes any.
        model: what it was made from, in evaluation mode, on the CPU.
        images: (H, W, 3) uint8 RGB, of the file's size if it has one.
        advance: called after each image.
        run: computes the file's graph in ONNX Runtime's place, (B, H, W, 3) to (B, H, W).

    Raises:
        ExportError: a depth is not finite, or all are 0, so that nothing is proven.
    """
    sessions = OnnxSessions(file)
    run = sessions.run if run is None else run
    counts = _ANY_BATCHES if sessions.metadata.batch is None else (sessions.metadata.batch,)
    absolute = relative = mean = largest = 0.0
    for image in images:
        size = (image.shape[0], image.shape[1])
        # a batch's images must differ, or one computed for another would not show
        batch = np.stack([np.roll(image, shift, axis=1) for shift in range(max(counts))])
        with torch.inference_mode():
            expected = ImageToDepth(model, size)(torch.from_numpy(batch)).numpy()
        for count in counts:
            exported = run(batch[:count])
            if not (np.isfinite(exported).all() and np.isfinite(expected).all()):
                raise ExportError(f"depth is not finite on a {size[1]} x {size[0]} image; check the weights")
            difference = np.abs(exported - expected[:count])
            absolute = max(absolute, float(difference.max()))
            ratio = difference / _scale(expected[:count])
            relative = max(relative, float(ratio.max()))
            mean = max(mean, float(ratio.mean()))
        largest = max(largest, float(expected.max()))
        advance()
    if not largest:
        raise ExportError(f"the model says 0 m everywhere on {len(images)} images; check the weights")
    return Difference(absolute, relative, mean, len(images))


def made_up_images(height: int, width: int) -> list[Rgb]:
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
    """Resize a real image to (height, width); only what the two sides are compared on, so any resize will do."""
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _scale(depth: Depth) -> Depth:
    floor = _RELATIVE_FLOOR * depth.mean(axis=(1, 2), keepdims=True)
    return np.asarray(np.maximum(np.maximum(depth, floor), np.finfo(np.float32).tiny), dtype=np.float32)
