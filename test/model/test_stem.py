from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from space_clip_ros.model import SpaceClip, build, load_checkpoint, save_checkpoint
from space_clip_ros.model.half import fold_norms
from space_clip_ros.model.pretrained import load_pretrained
from space_clip_ros.model.stem import ConvolutionalStem
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.settings import find_problems, to_dict

PLAIN = EncoderConfig(width=32, heads=2, image_size=32, trainable=True)
STEMMED = dataclasses.replace(PLAIN, stem="convolutional")


def model(encoder: EncoderConfig, seed: int = 0) -> SpaceClip:
    torch.manual_seed(seed)
    decoder = DecoderConfig(channels=(16, 8, 8, 8), film_hidden=8, dropout=0.0)
    return build(ModelConfig(encoder=encoder, decoder=decoder, input_size=(32, 64)))


def trained(network: SpaceClip) -> SpaceClip:
    """Give the new stem weights other than zero, as training does."""
    torch.manual_seed(1)
    torch.nn.init.normal_(network.encoder.tower.stem.project.weight, std=0.1)
    return network


@pytest.mark.parametrize(("patch", "size"), [(16, (3, 5)), (8, (6, 10)), (2, (24, 40))])
def test_one_token_a_patch(patch: int, size: tuple[int, int]) -> None:
    assert ConvolutionalStem(40, patch)(torch.randn(2, 3, 48, 80)).shape == (2, 40, *size)


def test_a_new_stem_adds_nothing_to_a_tower_that_was_trained_without_it(tmp_path: Path) -> None:
    plain, stemmed = model(PLAIN), model(STEMMED, seed=5)
    save_checkpoint(plain, tmp_path / "plain.safetensors")
    load_pretrained(stemmed.encoder, tmp_path / "plain.safetensors")
    images = torch.randn(2, 3, 32, 64)
    with torch.inference_mode():
        ours, theirs = stemmed.encoder(images), plain.encoder(images)
        assert torch.equal(ours.context, theirs.context)
        assert len(ours.states) == 13
        assert not torch.equal(trained(stemmed).encoder(images).context, theirs.context)


def test_it_trains_is_kept_in_a_checkpoint_and_folds_its_norms(tmp_path: Path) -> None:
    network = trained(model(STEMMED)).train()
    images = torch.randn(2, 3, 32, 64)
    network(images).depth.mean().backward()
    assert all(parameter.grad is not None for parameter in network.encoder.tower.stem.parameters())
    save_checkpoint(network.eval(), tmp_path / "stemmed.safetensors")
    loaded = load_checkpoint(tmp_path / "stemmed.safetensors")
    assert loaded.config.encoder.stem == "convolutional"
    with torch.inference_mode():
        before = loaded(images).depth
        assert torch.equal(before, network(images).depth)
        fold_norms(loaded)
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in loaded.encoder.modules())
        torch.testing.assert_close(loaded(images).depth, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"trainable": False}, "stem: convolutional is for a trainable tower of kind clip"),
        ({"kind": "siglip"}, "stem: convolutional is for a trainable tower of kind clip"),
        ({"patch_size": 12, "image_size": 36}, "patch_size: must be a power of two"),
    ],
)
def test_where_it_does_not_fit(changes: dict[str, object], problem: str) -> None:
    found = find_problems(EncoderConfig, {**to_dict(STEMMED), **changes})
    assert any(problem in line for line in found), found
