from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros.errors import InputError
from space_clip_ros.settings import parse
from space_clip_ros.training.schedule import learning_rate, scheduled_rate
from space_clip_ros.training_config import OptimizerConfig


def test_the_reference_s_schedule(reference_dir: Path):
    with np.load(reference_dir / "schedule.npz") as file:
        expected = file["lr"]
    rates = [learning_rate(step, 400, 1e-4, 1e-6, 20) for step in range(400)]
    np.testing.assert_allclose(rates, expected, rtol=0, atol=1e-12)


def test_by_hand():
    rates = [learning_rate(step, 6, 1.0, 0.0, 2) for step in range(6)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.8535533906, 0.5, 0.1464466094])
    assert learning_rate(0, 1, 1.0, 0.0, 0) == 1.0
    assert learning_rate(99, 6, 1.0, 0.25, 2) == 0.25


@pytest.mark.parametrize(("total", "warmup"), [(0, 0), (5, 6), (5, -1)])
def test_a_schedule_that_cannot_be(total, warmup):
    with pytest.raises(InputError, match="cannot hold a warm-up"):
        learning_rate(0, total, 1.0, 0.0, warmup)


def pytorchs(scheduler: type, epochs: int, **settings: float) -> list[float]:
    """The rate of each epoch by PyTorch's own scheduler, stepped once an epoch as the reference implementation does."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-4)
    schedule = scheduler(optimizer, **settings)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("settings", "scheduler", "theirs"),
    [
        ({"schedule": "cosine"}, torch.optim.lr_scheduler.CosineAnnealingLR, {"T_max": 7, "eta_min": 1e-6}),
        ({"schedule": "step"}, torch.optim.lr_scheduler.StepLR, {"step_size": 10, "gamma": 0.5}),
        (
            {"schedule": "step", "step_epochs": 2, "step_factor": 0.3},
            torch.optim.lr_scheduler.StepLR,
            {"step_size": 2, "gamma": 0.3},
        ),
    ],
)
def test_the_references_other_schedules_are_pytorchs_once_an_epoch(settings, scheduler, theirs):
    config = parse(OptimizerConfig, {"epochs": 7, **settings})
    rates = [scheduled_rate(config, step, 3) for step in range(21)]
    np.testing.assert_allclose(rates, np.repeat(pytorchs(scheduler, 7, **theirs), 3), rtol=1e-12)


def test_the_recipes_schedule_is_the_default():
    config = OptimizerConfig()
    rates = [scheduled_rate(config, step, 20) for step in range(400)]
    assert rates == [learning_rate(step, 400, 1e-4, 1e-6, 20) for step in range(400)]


def test_a_run_without_steps_has_no_rate():
    with pytest.raises(InputError, match="at least one step"):
        scheduled_rate(parse(OptimizerConfig, {"schedule": "step"}), 0, 0)
