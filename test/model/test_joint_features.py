"""Language features beside depth: the reference's numbers, and depth that stays as it is to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError
from space_clip_ros.model import SpaceClip, load_checkpoint, save_checkpoint
from space_clip_ros.model.encoder import Encoder
from space_clip_ros.model.half import fold_norms, halve
from space_clip_ros.model.joint_features import gaussian_nearness, tower_hash
from space_clip_ros.model.pretrained import load_pretrained
from space_clip_ros.model_config import EncoderConfig, LanguageConfig, ModelConfig

JOINT = LanguageConfig(outputs=("embedding", "dense"), embed_dim=48)
CLOSED = LanguageConfig(outputs=("dense", "embedding"), embed_dim=3, vocabulary=("road", "car", "sky"))
IMAGES = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(3))


def test_features_are_the_reference_s_and_the_states_are_untouched(shared_dir: Path) -> None:
    folder = shared_dir / "reference"
    with np.load(folder / "language_clip_tiny_io.npz") as arrays:
        reference = dict(arrays)
    config = EncoderConfig(width=64, heads=4, image_size=64)
    joint, plain = Encoder(config, JOINT), Encoder(config)
    for encoder in (joint, plain):
        load_pretrained(encoder, folder / "language_clip_tiny_open_clip.pt")
    with torch.inference_mode():
        found, expected = (encoder(torch.from_numpy(reference["input"])) for encoder in (joint, plain))
    np.testing.assert_allclose(found.joint.embedding.numpy(), reference["image_embedding"], atol=1e-5)
    np.testing.assert_allclose(found.joint.dense.numpy(), reference["dense"], atol=1e-5)
    assert expected.joint is None
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found.states, expected.states, strict=True))


@pytest.mark.parametrize("language", [JOINT, CLOSED], ids=["joint", "closed"])
def test_depth_is_the_same_to_the_last_bit(language: LanguageConfig, tiny_model: Callable[..., SpaceClip]) -> None:
    with torch.inference_mode():
        found, plain = tiny_model(language=language)(IMAGES), tiny_model()(IMAGES)
    assert torch.equal(found.depth, plain.depth)
    assert plain.embedding is None and plain.dense is None
    grid = (2, 4) if language is JOINT else (16, 32)
    assert found.dense.shape == (2, *grid, language.embed_dim) and found.embedding.shape == (2, language.embed_dim)
    for vectors in (found.dense, found.embedding):
        np.testing.assert_allclose(vectors.norm(dim=-1).numpy(), 1.0, atol=1e-5)


@pytest.mark.parametrize("language", [JOINT, CLOSED], ids=["joint", "closed"])
def test_only_what_is_wanted_comes_out(language: LanguageConfig, tiny_model: Callable[..., SpaceClip]) -> None:
    with torch.inference_mode():
        dense = tiny_model(language=replace(language, outputs=("dense",)))(IMAGES)
        embedding = tiny_model(language=replace(language, outputs=("embedding",)))(IMAGES)
    assert dense.embedding is None and dense.dense is not None
    assert embedding.dense is None and embedding.embedding is not None


def test_training_the_closed_head_moves_nothing_else(tiny_model: Callable[..., SpaceClip]) -> None:
    model = tiny_model(language=CLOSED)
    model(IMAGES).dense[..., 1].mean().backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert moved == {name for name, _ in model.named_parameters() if name.startswith("language_head.")}


def test_a_checkpoint_keeps_the_projection_and_names_its_tower(
    tiny_model: Callable[..., SpaceClip], tmp_path: Path
) -> None:
    model = tiny_model(language=JOINT)
    save_checkpoint(model, tmp_path / "model.safetensors")
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    assert loaded.config.language.tower == tower_hash(model.encoder) == tower_hash(loaded.encoder)
    with torch.inference_mode():
        assert torch.equal(loaded(IMAGES).dense, model(IMAGES).dense)
    with torch.no_grad():
        loaded.encoder.projection.weight[0, 0] += 1.0
    assert tower_hash(loaded.encoder) != tower_hash(model.encoder)


def test_half_precision_keeps_the_directions(tiny_model: Callable[..., SpaceClip]) -> None:
    model, half = tiny_model(language=JOINT), tiny_model(language=JOINT)
    fold_norms(half)
    halve(half, torch.bfloat16)
    with torch.inference_mode():
        found, expected = half(IMAGES), model(IMAGES)
    assert found.dense.dtype == found.embedding.dtype == torch.float32
    assert float((found.dense * expected.dense).sum(dim=-1).min()) > 0.99


def test_nearness_by_hand() -> None:
    found = gaussian_nearness((2, 2), 5.0, torch.zeros(1))
    near, far = np.exp(-1 / 50), np.exp(-2 / 50)
    by_hand = [[0, 1, near, near, far], [0, near, 1, far, near], [0, near, far, 1, near], [0, far, near, near, 1]]
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        ({"kind": "siglip"}, "encoder.kind is siglip, which has no projection"),
        ({"trainable": True}, "encoder.trainable is true and training moves the tower away from CLIP's"),
        ({"adapters": {"rank": 4}}, "encoder.adapters change CLIP's features"),
    ],
)
def test_towers_that_are_no_longer_clip_s_are_refused(encoder: dict[str, object], reason: str) -> None:
    language = {"outputs": ["dense"], "embed_dim": 512}
    with pytest.raises(ConfigError, match=f"language.outputs: {reason}.*share no space with text"):
        settings.parse(ModelConfig, {"encoder": encoder, "language": language})
    closed = {**language, "embed_dim": 2, "vocabulary": ["car", "road"]}
    assert settings.parse(ModelConfig, {"encoder": encoder, "language": closed}).language.vocabulary
