"""Compares an exported file with its model: both run on the same images, and the largest difference counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from space_clip_ros.errors import ExportError
from space_clip_ros.export.language_proof import LanguageDifference, LanguageSeen, Vectors
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.metadata import OUTPUT_NAME, UNCERTAINTY_NAME
from space_clip_ros.inference.self_check import relative_difference
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.image_to_depth import ImageToEstimate
from space_clip_ros.model_config import LANGUAGE_OUTPUTS

Run = Callable[[Rgb], dict[str, Depth]]
"""Maps images, (B, H, W, 3) uint8 RGB, to a file's outputs by name."""
_ANY_BATCHES = (1, 2)


@dataclass(frozen=True)
class Difference:
    """The largest differences seen.

    Attributes:
        absolute: metres.
        relative: see :func:`~space_clip_ros.inference.self_check.relative_difference`.
        mean: mean relative difference over all pixels of the worst image.
        images: how many images were compared.
    """

    absolute: float
    relative: float
    mean: float
    images: int


class Differences(NamedTuple):
    """The largest differences of each output.

    Attributes:
        depth: of depth.
        uncertainty: of its uncertainty; None if the model has none.
        language: of language features; None likewise.
    """

    depth: Difference
    uncertainty: Difference | None = None
    language: LanguageDifference | None = None


def compare(
    run: Run,
    batch: int | None,
    model: SpaceClip,
    images: Sequence[Rgb],
    advance: Callable[[], None] = lambda: None,
    queries: Vectors | None = None,
) -> Differences:
    """Run every image on an exported file, and on the model with PyTorch on the CPU.

    Args:
        run: runs the file.
        batch: images per run of the file; None if it takes any number: then it is run on one and on two.
        model: the model it was made from, in evaluation mode, on the CPU.
        images: (H, W, 3) uint8 RGB, of the file's size if it has one.
        advance: called after each image.
        queries: (N, D) vectors of the words that language features are to tell apart.

    Raises:
        ExportError: a number is not finite, or all depths are 0, which proves nothing.
    """
    counts = _ANY_BATCHES if batch is None else (batch,)
    outputs = tuple(model.config.outputs)
    seen = {name: _Seen() for name in outputs if name not in LANGUAGE_OUTPUTS}
    language = LanguageSeen(queries)
    for image in images:
        size = (image.shape[0], image.shape[1])
        # images of a batch must differ, so that a mix-up of images shows
        stacked = np.stack([np.roll(image, shift, axis=1) for shift in range(max(counts))])
        with torch.inference_mode():
            expected = [maps.numpy() for maps in ImageToEstimate(model, size)(torch.from_numpy(stacked))]
        for count in counts:
            found = run(stacked[:count])
            for name, correct in zip(outputs, expected, strict=True):
                exported = found[name]
                if not (np.isfinite(exported).all() and np.isfinite(correct).all()):
                    raise ExportError(f"{name} is not finite on a {size[1]} x {size[0]} image", "", "check the weights")
                if name in seen:
                    seen[name].add(exported, correct[:count])
                else:
                    language.add(name, exported, correct[:count])
        advance()
    if not seen[OUTPUT_NAME].deepest:
        raise ExportError(f"the model says 0 m everywhere on {len(images)} images", "", "check the weights")
    differences = {name: Difference(one.absolute, one.relative, one.mean, len(images)) for name, one in seen.items()}
    return Differences(
        differences[OUTPUT_NAME],
        differences.get(UNCERTAINTY_NAME),
        language.difference(len(images)) if len(seen) < len(outputs) else None,
    )


class _Seen:
    """The largest differences of one output so far."""

    def __init__(self) -> None:
        self.absolute = self.relative = self.mean = self.deepest = 0.0

    def add(self, exported: Depth, expected: Depth) -> None:
        ratio = relative_difference(exported, expected)
        self.absolute = max(self.absolute, float(np.abs(exported - expected).max()))
        self.relative = max(self.relative, float(ratio.max()))
        self.mean = max(self.mean, float(ratio.mean()))
        self.deepest = max(self.deepest, float(expected.max()))
