"""The check that an engine must pass before it is used: its depth against ONNX Runtime's on the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from space_clip_ros.errors import BackendError
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth

ENGINE_TOLERANCES = {"fp32": (1e-3, 1e-2), "tf32": (1e-3, 1e-2), "fp16": (1e-2, 5e-2), "int8": (3e-2, 2e-1)}
"""For each precision, the largest accepted mean and 99.9th percentile of the relative difference."""
_TAIL = 99.9
_RELATIVE_FLOOR = 0.01
_TINY = float(np.finfo(np.float32).tiny)
_SMALLEST_M = 1e-3
_SEED = 42
_CHECK_WEIGHTS = "check the model's weights"

Run = Callable[[Rgb], Depth]


@dataclass(frozen=True)
class Agreement:
    """How much the depth of two runs of one graph differs; each number is of the worst image.

    Relative differences are those of :func:`relative_difference`, with a floor of 1 mm. Single pixels at object edges
    say little, so the 99.9th percentile is judged, and the maximum is only reported.

    Attributes:
        mean_relative: mean relative difference.
        tail_relative: 99.9th percentile of the relative difference.
        largest_m: largest absolute difference, metres.
        finite: whether every depth is a finite number.
        images: how many images were compared.
    """

    mean_relative: float
    tail_relative: float
    largest_m: float
    finite: bool
    images: int

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the numbers as text."""
        return (
            f"mean {self.mean_relative:.2g} relative, 99.9th percentile {self.tail_relative:.2g}, largest "
            f"{self.largest_m:.2g} m on {self.images} pictures"
        )

    def problem(self, precision: str) -> str:
        """Return why an engine of this precision is rejected, with the numbers; empty if it is accepted."""
        if not self.finite:
            return "its depth is not finite: numbers overflow somewhere in the graph"
        mean, tail = ENGINE_TOLERANCES[precision]
        if self.mean_relative <= mean and self.tail_relative <= tail:
            return ""
        return f"it differs from ONNX Runtime by {self}; accepted for {precision} are {mean:g} and {tail:g} relative"


def compare_runs(candidate: Run, reference: Run, images: Sequence[Rgb]) -> Agreement:
    """Run every image on both, and compare the depth.

    Args:
        candidate: the engine: (H, W, 3) uint8 RGB to (H, W) float32 metres.
        reference: ONNX Runtime on the same graph.
        images: at least one.

    Raises:
        BackendError: the reference's depth is not finite or is 0 everywhere, which proves nothing.
    """
    mean = tail = largest = deepest = 0.0
    finite = True
    for image in images:
        expected, depth = reference(image), candidate(image)
        if not np.isfinite(expected).all():
            raise BackendError("ONNX Runtime's depth is not finite on a picture of the check", "", _CHECK_WEIGHTS)
        finite = finite and bool(np.isfinite(depth).all())
        if finite:
            relative = relative_difference(depth, expected, _SMALLEST_M)
            mean = max(mean, float(relative.mean()))
            tail = max(tail, float(np.percentile(relative, _TAIL)))
            largest = max(largest, float(np.abs(depth - expected).max()))
        deepest = max(deepest, float(expected.max()))
    if not deepest:
        raise BackendError("the model says 0 m everywhere on the pictures of the check", "", _CHECK_WEIGHTS)
    return Agreement(mean, tail, largest, finite, len(images))


def relative_difference(computed: Depth, correct: Depth, least: float = _TINY) -> Depth:
    """Return the difference of each pixel as a share of its correct value.

    It is a share of 1 % of the map's mean, or of ``least``, where that is more: otherwise rounding next to the final
    ReLU's zeros would count as infinite.

    Args:
        computed: (..., H, W) float32, depth or another output.
        correct: the same, of another run.
        least: at least this, in the unit of the maps.

    Returns:
        (..., H, W) float32.
    """
    floor = np.maximum(_RELATIVE_FLOOR * correct.mean(axis=(-2, -1), keepdims=True), least)
    return np.asarray(np.abs(computed - correct) / np.maximum(correct, floor), np.float32)


def check_pictures(height: int, width: int) -> list[Rgb]:
    """Return the images that every engine is checked on, (height, width, 3) uint8 RGB, the same ones every time.

    They are a street of simple shapes, the same at dusk, and noise, which drives activations further than any street.
    """
    random = np.random.default_rng(_SEED)
    street = _street(height, width, random)
    dusk = (street * 0.25).astype(np.uint8)
    noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return [street, dusk, noise]


def _street(height: int, width: int, random: np.random.Generator) -> Rgb:
    """Draw sky above a road that narrows towards the horizon, and boxes that stand on it."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    down, across = rows / height, columns / width - 0.5
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = np.stack([150 + 90 * down, 180 + 60 * down, np.full_like(down, 235)], axis=-1)
    ground = down > 0.45
    picture[ground] = (90, 110, 80)
    picture[ground & (np.abs(across) < 0.9 * (down - 0.45))] = (85, 85, 90)
    for _ in range(8):
        nearness = random.uniform(0.1, 1.0)
        bottom = int((0.45 + 0.5 * nearness) * height)
        left = int(random.uniform(0.0, 1.0) * width)
        box = np.s_[
            max(0, bottom - int(0.4 * nearness * height)) : bottom, left : left + int(0.2 * nearness * width) + 1
        ]
        picture[box] = random.integers(20, 236, 3)
    picture += random.normal(0.0, 4.0, picture.shape).astype(np.float32)
    return np.asarray(picture.clip(0, 255), dtype=np.uint8)
