"""The refinement head: no effect when new, sees single pixels, kept by checkpoints, folded and halved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from space_clip_ros.model import SpaceClip, build, load_checkpoint, save_checkpoint
from space_clip_ros.model.half import fold_norms, halve
from space_clip_ros.model_config import ModelConfig
from space_clip_ros.settings import find_problems, to_dict


def refined(config: ModelConfig) -> SpaceClip:
    torch.manual_seed(0)
    return build(dataclasses.replace(config, refinement=True))


def trained(model: SpaceClip) -> SpaceClip:
    assert model.refinement_head is not None
    torch.nn.init.normal_(model.refinement_head.correction.weight, std=0.05)
    model.depth_head.depth.bias.data.fill_(10.0)
    return model


def test_a_new_one_changes_nothing(config: ModelConfig, adds_nothing: Callable[[SpaceClip, str], None]) -> None:
    adds_nothing(refined(config), "refinement_head.")


@pytest.mark.parametrize(
    ("changes", "grid"),
    [({}, 32), ({"channels": (8, 8, 8)}, 32), ({"channels": (8, 8, 8, 6, 4), "head": "log"}, 64)],
)
def test_depth_is_as_fine_as_the_decoder_or_the_refinement_is(
    config: ModelConfig, images: torch.Tensor, changes: dict[str, object], grid: int
) -> None:
    model = trained(refined(dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, **changes))))
    assert model.config.depth_grid == (grid, grid)
    depth = model(images, (grid, grid)).depth
    assert depth.shape == (2, 1, grid, grid) and bool((depth >= 0).all())
    assert model(images).depth.shape == (2, 1, 32, 32)


def test_a_patch_s_mean_stays_the_decoder_s(config: ModelConfig, images: torch.Tensor) -> None:
    """The correction's mean over a patch and its neighbours is subtracted, and the rest has a limit."""
    model = trained(refined(config))
    assert model.refinement_head is not None and model.config.depth_grid == (32, 32)
    with torch.inference_mode():
        decoded = model.depth_head(model.features(images).semantic_decoder[-1])
        corrected = (model(images).depth / decoded).log()
        assert float(corrected.abs().max()) > 0.01
        model.refinement_head.correction.bias += 50.0
        torch.testing.assert_close((model(images).depth / decoded).log(), corrected, rtol=1e-3, atol=1e-4)
        model.refinement_head.correction.weight *= 1e4
        assert float((model(images).depth / decoded).log().abs().max()) == pytest.approx(2.0, rel=1e-4)


def test_it_trains_is_kept_in_a_checkpoint_folds_its_norms_and_runs_in_half(
    config: ModelConfig, images: torch.Tensor, tmp_path: Path
) -> None:
    model = trained(refined(config)).train()
    model(images).depth.mean().backward()
    assert model.refinement_head is not None
    assert all(parameter.grad is not None for parameter in model.refinement_head.parameters())
    save_checkpoint(model.eval(), tmp_path / "refined.safetensors")
    loaded = load_checkpoint(tmp_path / "refined.safetensors")
    with torch.inference_mode():
        before = loaded(images).depth
        assert torch.equal(before, model(images).depth)
        fold_norms(loaded)
        torch.testing.assert_close(loaded(images).depth, before, rtol=1e-4, atol=1e-4)
        halve(loaded, torch.bfloat16)
        torch.testing.assert_close(loaded(images).depth, before, rtol=0.05, atol=0.05)


def test_it_needs_three_decoder_blocks(config: ModelConfig) -> None:
    short = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, channels=(8, 8)))
    found = find_problems(ModelConfig, {**to_dict(short), "refinement": True})
    assert any("refinement: needs 3 decoder blocks, got 2" in line for line in found), found
