"""The learning-rate schedules: warm-up and half a cosine over steps, or a cosine or a staircase over epochs."""

from __future__ import annotations

import math

from space_clip_ros.errors import InputError
from space_clip_ros.training_config import OptimizerConfig


def scheduled_rate(config: OptimizerConfig, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of step ``step`` (the first is 0) by the schedule of ``config``.

    ``cosine`` and ``step`` keep one rate through an epoch and have no warm-up, as in the reference implementation:
    PyTorch's ``CosineAnnealingLR`` (over all epochs, down to ``final_lr``) and ``StepLR``, stepped once an epoch.

    Args:
        config: rates and schedule.
        step: number of optimiser steps taken before this one.
        steps_per_epoch: steps of one epoch.

    Raises:
        InputError: the run has no steps.
    """
    total = steps_per_epoch * config.epochs
    if config.schedule == "warmup_cosine":
        return learning_rate(step, total, config.lr, config.final_lr, int(total * config.warmup))
    if total < 1:
        raise InputError("a schedule needs at least one step")
    epoch = step // steps_per_epoch
    if config.schedule == "step":
        return config.lr * config.step_factor ** (epoch // config.step_epochs)
    return learning_rate(epoch, config.epochs, config.lr, config.final_lr, 0)


def learning_rate(step: int, total_steps: int, peak: float, final: float, warmup_steps: int) -> float:
    """Return the rate of step ``step`` (the first is 0): linear warm-up, then half a cosine.

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
