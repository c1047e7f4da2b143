"""Compares an adopted file with the model that it was made from, whose depth is computed separately."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from space_clip_ros.errors import ExportError
from space_clip_ros.export.adopt_recipe import Recipe
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.inference.self_check import relative_difference

ADOPTION_TOLERANCES = {"fp32": (1e-3, 1e-2), "fp16": (1e-2, 2e-1), "int8": (5e-2, math.inf)}
"""Largest relative differences from the original, by the file's precision: an image's mean, and a single pixel's."""
_OPTIONS = {
    "depth": "--output, --scale and --shift",
    "uncertainty": "--uncertainty, --uncertainty-kind and --uncertainty-scale",
}
"""Options that say how each output is read."""


@dataclass(frozen=True)
class AdoptionProof:
    """The largest differences from the original model.

    Attributes:
        absolute: of depth, metres.
        relative: of depth (or of inverse depth if the network gives that), as a share of it, or of 1 % of the image's
            mean if that is more.
        mean: mean relative difference over the pixels of the worst image.
        uncertainty: the same mean for uncertainty; None without it.
        images: number of images compared.
        real: number of those that the caller gave.
    """

    absolute: float
    relative: float
    mean: float
    uncertainty: float | None
    images: int
    real: int


def prove_adoption(
    draft: Path,
    file: Path,
    recipe: Recipe,
    trials: Sequence[Rgb],
    expected: Sequence[Sequence[Depth]],
    real: int,
    advance: Callable[[], None],
) -> AdoptionProof:
    """Compare a written file with the original model's results.

    Args:
        draft: the file.
        file: its name to be.
        recipe: how the original model is used.
        trials: (H, W, 3) uint8 images.
        expected: of each image the original model's depth, and uncertainty if there is one.
        real: how many of the images are the caller's.
        advance: called after each image.

    Raises:
        ExportError: it differs by more than the tolerance, or an output is not finite or 0 everywhere.
    """
    sessions = OnnxSessions(draft, threads=os.cpu_count() or 1)
    precision, batch = sessions.metadata.precision, sessions.metadata.batch
    absolute = relative = mean = uncertain = 0.0
    largest = [0.0] * len(expected[0])
    for image, expected_values in zip(trials, expected, strict=True):
        depth, *more = expected_values
        computed = list(sessions.estimate(np.repeat(image[None], batch or 1, axis=0)).values())
        for index, (name, values) in enumerate(zip(_OPTIONS, computed, strict=False)):
            if not (np.isfinite(values).all() and np.isfinite(expected_values[index]).all()):
                raise ExportError(file.name, f"its {name} is not finite", f"check {_OPTIONS[name]}")
            largest[index] = max(largest[index], float(values.max()))
        absolute = max(absolute, float(np.abs(computed[0][0] - depth).max()))
        # An inverse network's own numbers are compared, not the depths that they become.
        power = -1 if recipe.inverse else 1
        share = relative_difference(computed[0][0] ** power, depth**power)
        relative, mean = max(relative, float(share.max())), max(mean, float(share.mean()))
        for uncertainty, correct in zip(computed[1:], more, strict=True):
            uncertain = max(uncertain, float(relative_difference(uncertainty[0], correct).mean()))
        advance()
    if batch is None:
        _check_batch(sessions, file, trials[-1])
    sessions.close()
    for name, value in zip(_OPTIONS, largest, strict=False):
        if not value:
            raise ExportError(
                file.name, f"its {name} is 0 everywhere on {len(trials)} images", f"check {_OPTIONS[name]}"
            )
    most_mean, most = ADOPTION_TOLERANCES[precision]
    if mean > most_mean or relative > most or uncertain > most_mean:
        raise ExportError(
            file.name,
            f"not written: it differs from the original model by {mean:.2g} relative on average and "
            f"{relative:.2g} at most ({absolute:.2g} m), more than {most_mean:g} and {most:g}"
            + (f"; its uncertainty by {uncertain:.2g}" if uncertain > most_mean else ""),
        )
    has_uncertainty = uncertain if recipe.uncertainty_output else None
    return AdoptionProof(absolute, relative, mean, has_uncertainty, len(trials), real)


def _check_batch(sessions: OnnxSessions, file: Path, image: Rgb) -> None:
    """Reject a file that claims to take any number of images but fails on two, or mixes them up."""
    pair = np.stack([image, np.roll(image, image.shape[1] // 3, axis=1)])
    try:
        together = sessions.run(pair)
    except Exception as error:
        raise ExportError(file.name, f"fails on two images at once ({error})", "give --batch 1") from error
    for index in range(2):
        single = sessions.run(pair[index : index + 1])[0]
        if float(relative_difference(together[index], single).mean()) > ADOPTION_TOLERANCES["fp16"][0]:
            raise ExportError(file.name, "gives other depth for two images at once", "give --batch 1")
