"""The learning-rate schedule: linear warm-up, then half a cosine."""

from __future__ import annotations

import math

from space_clip_ros.errors import InputError


def learning_rate(step: int, total_steps: int, peak: float, final: float, warmup_steps: int) -> float:
    """Return the learning rate of step ``step`` (the first is 0).

    Args:
        step: number of optimiser steps taken before this one.
        total_steps: steps of the whole run.
        peak: rate at the end of the warm-up.
        final: rate that the cosine falls to.
        warmup_steps: steps of linear warm-up; the last of them is at the peak.

    Raises:
        InputError: the run has no steps, or the warm-up is longer than the run.
    """
    if total_steps < 1 or not 0 <= warmup_steps <= total_steps:
        raise InputError(f"a schedule of {total_steps} steps cannot hold a warm-up of {warmup_steps}")
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = min((step - warmup_steps) / max(1, total_steps - warmup_steps), 1.0)
    return final + 0.5 * (peak - final) * (1.0 + math.cos(math.pi * progress))
