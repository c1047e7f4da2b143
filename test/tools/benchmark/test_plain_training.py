"""The plain loop trains what ours does: same losses, gradients and averages, step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from space_clip_ros.data.dataset import Batch
from space_clip_ros.errors import ConfigError
from space_clip_ros.model import build
from space_clip_ros.tools.benchmark.plain_training import PlainLoop
from space_clip_ros.training.ema import WeightAverage
from space_clip_ros.training.processes import Processes
from space_clip_ros.training.step import Stepper, build_optimizer
from space_clip_ros.training_config import LossConfig, TrainingConfig

CPU = torch.device("cpu")


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 40, 80, 3), generator=generator, dtype=torch.uint8)
    depth = torch.rand((2, 1, 40, 80), generator=generator) * 60 + 1
    depth[:, :, :7] = torch.nan
    return Batch(images, depth, torch.tensor([0, 1]))


def test_both_loops_take_the_same_steps(recipe: TrainingConfig) -> None:
    torch.manual_seed(3)
    model = build(recipe.model)
    with torch.no_grad():
        for head in (model.depth_head, *model.auxiliary_heads):
            # Well inside what a ReLU lets through, so that rounding decides about no pixel.
            head.depth.bias.fill_(10.0)
    twin = build(recipe.model)
    twin.load_state_dict(model.state_dict())
    optimizer = build_optimizer(model.train(), recipe)
    ours = Stepper(model, optimizer, WeightAverage(model, 0.9), Processes(0, 1, CPU), recipe)
    plain = PlainLoop(twin, recipe, CPU)
    for _ in range(3):
        expected, result = ours.take(batch(), 1e-3), plain.take(batch(), 1e-3)
        assert result.losses["total"] == pytest.approx(expected.losses["total"], rel=1e-5)
        assert result.grad_norm == pytest.approx(expected.grad_norm, rel=1e-4)


def test_another_recipe_is_refused(recipe: TrainingConfig) -> None:
    config = replace(recipe, loss=LossConfig(gradient=0.5))
    with pytest.raises(ConfigError, match=r"loss\.gradient: the plain loop has only the recipe's losses, got 0\.5"):
        PlainLoop(build(recipe.model), config, CPU)
