"""What a model's language features cost beside depth: runs of some outputs alone, taking turns."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from space_clip_ros.geometry.color import Rgb
from space_clip_ros.model_config import LANGUAGE_OUTPUTS
from space_clip_ros.tools.benchmark.measured_model import MeasuredModel
from space_clip_ros.tools.latency import summarize


def outputs_ms(model: MeasuredModel, images: Rgb, runs: int) -> dict[str, dict[str, Any]]:
    """Time depth alone, depth with each language output, and with all of them.

    The runs take turns one by one, so that a slow phase of the machine slows all of them.

    Args:
        model: which computes what is asked for only, else nothing is measured.
        images: (B, H, W, 3) uint8 RGB.
        runs: of each.

    Returns:
        For each set of outputs, depth alone first: ``ms``, the times' percentiles in milliseconds, and ``ratio``, their
        median over that of depth alone. Empty if the model has no language features or always computes everything.

    Raises:
        BackendError: a run failed.
    """
    given = model.config.outputs
    extra = [name for name in LANGUAGE_OUTPUTS if name in given]
    always = tuple(name for name in given if name not in extra)
    sets = [always, *((*always, name) for name in extra), *([(*always, *extra)] if len(extra) > 1 else [])]
    if not extra or not all(model.run_only(images, names) for names in sets):
        return {}
    times: list[list[float]] = [[] for _ in sets]
    for _ in range(runs):
        for names, spent in zip(sets, times, strict=True):
            start = perf_counter()
            model.run_only(images, names)
            spent.append((perf_counter() - start) * 1e3)
    alone = float(np.median(times[0]))
    return {
        ", ".join(names): {"ms": summarize(spent), "ratio": round(float(np.median(spent)) / alone, 4)}
        for names, spent in zip(sets, times, strict=True)
    }
