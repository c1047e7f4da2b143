"""Compares an exported file with its model: both run on the same images, and the largest difference counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from space_clip_ros.errors import ExportError
from space_clip_ros.inference.backend import Depth, Rgb
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.image_to_depth import ImageToDepth

_ANY_BATCHES = (1, 2)
_RELATIVE_FLOOR = 0.01


@dataclass(frozen=True)
class Difference:
    """The largest differences seen.

    Attributes:
        absolute: metres.
        relative: divided by the depth, or by 1 % of the image's mean depth if that is more: otherwise rounding next to
            the final ReLU's zeros would count as infinite.
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
        file: the exported file; it runs on its number of images at once, or on one and on two if it takes any number.
        model: the model it was made from, in evaluation mode, on the CPU.
        images: (H, W, 3) uint8 RGB, of the file's size if it has one.
        advance: called after each image.
        run: runs the graph instead of ONNX Runtime, (B, H, W, 3) to (B, H, W).

    Raises:
        ExportError: a depth is not finite, or all are 0, which proves nothing.
    """
    sessions = OnnxSessions(file)
    run = sessions.run if run is None else run
    counts = _ANY_BATCHES if sessions.metadata.batch is None else (sessions.metadata.batch,)
    absolute = relative = mean = largest = 0.0
    for image in images:
        size = (image.shape[0], image.shape[1])
        # images of a batch must differ, so that a mix-up of images shows
        batch = np.stack([np.roll(image, shift, axis=1) for shift in range(max(counts))])
        with torch.inference_mode():
            expected = ImageToDepth(model, size)(torch.from_numpy(batch)).numpy()
        for count in counts:
            exported = run(batch[:count])
            if not (np.isfinite(exported).all() and np.isfinite(expected).all()):
                raise ExportError(f"depth is not finite on a {size[1]} x {size[0]} image", "", "check the weights")
            difference = np.abs(exported - expected[:count])
            absolute = max(absolute, float(difference.max()))
            ratio = difference / _scale(expected[:count])
            relative = max(relative, float(ratio.max()))
            mean = max(mean, float(ratio.mean()))
        largest = max(largest, float(expected.max()))
        advance()
    if not largest:
        raise ExportError(f"the model says 0 m everywhere on {len(images)} images", "", "check the weights")
    return Difference(absolute, relative, mean, len(images))


def _scale(depth: Depth) -> Depth:
    floor = _RELATIVE_FLOOR * depth.mean(axis=(1, 2), keepdims=True)
    return np.asarray(np.maximum(np.maximum(depth, floor), np.finfo(np.float32).tiny), dtype=np.float32)
