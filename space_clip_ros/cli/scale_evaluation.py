"""``evaluate --scale``: reads the option, and puts the result into words."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from space_clip_ros.config import ScaleConfig
from space_clip_ros.settings import declared

if TYPE_CHECKING:
    from space_clip_ros.evaluation.scale_measurement import ScaleResult, ScaleSpec


def scale_spec(text: str) -> ScaleSpec:
    """Read ``camera_height:METRES`` or ``ranges:ROWS``.

    Raises:
        ArgumentTypeError: the text is neither.
    """
    from space_clip_ros.evaluation.scale_measurement import CAMERA_HEIGHT, RANGES, ScaleSpec

    kind, _, number = text.partition(":")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    highest = next(item.maximum for item in declared(ScaleConfig) if item.name == CAMERA_HEIGHT) or math.inf
    if kind == CAMERA_HEIGHT and 0 < value <= highest:
        return ScaleSpec(kind, value)
    if kind == RANGES and number.isdecimal() and value >= 2:
        return ScaleSpec(kind, value)
    raise argparse.ArgumentTypeError(
        f"must be camera_height:METRES, up to {highest:g}, or ranges:ROWS with 2 rows or more, got {text!r}"
    )


def lines(result: ScaleResult) -> list[str]:
    """Return the result as lines of text."""
    gain = "" if result.share is None else f": {result.share:.0%} of the way"
    frames = f"a drive at {result.rate:g} Hz" if result.rate else "each frame alone"
    text = [
        f"scale {result.scale}, {frames}: used in {result.used} of {result.frames} frames, "
        f"factor {result.factor_p50:.3f} ({result.factor_p5:.3f} to {result.factor_p95:.3f})",
        f"  abs_rel {result.unscaled:.4f} unscaled, {result.scaled:.4f} scaled, "
        f"{result.median:.4f} by the truth's median{gain}",
    ]
    return text + [f"  not used in {count}: {problem}" for problem, count in result.problems.items()]
