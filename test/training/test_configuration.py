"""A run's settings that name a tower: read with what it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.training.configuration import load_training
from space_clip_ros.training_config import TrainingConfig


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_a_tower_fills_in_what_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "pretrained: openai\nmodel: {max_depth: 10.0, encoder: {tower: ViT-L-14}}\n")
    config = load_training(path, ["model.input_size=[224, 448]"])
    encoder = config.model.encoder
    assert (encoder.layers, encoder.width, encoder.patch_size, encoder.tower) == (24, 1024, 14, "")
    # These weights were trained with QuickGELU, though the model's name does not say so.
    assert encoder.activation == "quick_gelu" and config.pretrained == "ViT-L-14/openai"
    assert (config.model.input_size, config.model.max_depth) == ((224, 448), 10.0)
    again = write(tmp_path, settings.dump(config))
    assert load_training(again) == settings.load(TrainingConfig, again) == config


@pytest.mark.parametrize("pretrained", ["", "weights/ViT-L-14.pt", "ViT-L-14/openai"])
def test_weights_by_file_or_whole_name_stay(pretrained: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"pretrained: {pretrained!r}\nmodel: {{encoder: {{tower: ViT-L-14}}}}\n")
    assert load_training(path).pretrained == pretrained


def test_without_a_tower_it_is_plain_loading(project_root: Path) -> None:
    path = project_root / "config" / "kitti.yaml"
    assert load_training(path, ["seed=1"]) == settings.load(TrainingConfig, path, ["seed=1"])


def test_siglips_recipe_is_nyus_but_for_the_tower(project_root: Path) -> None:
    siglip, nyu = (load_training(project_root / "config" / f"{name}.yaml") for name in ("siglip", "nyu"))
    encoder = siglip.model.encoder
    assert (encoder.kind, encoder.activation, encoder.layer_norm_eps) == ("siglip", "gelu_tanh", 1e-6)
    assert siglip.model.mean == siglip.model.std == (0.5, 0.5, 0.5)
    same = ("data", "augmentation", "loss", "optimizer", "validation", "seed")
    assert all(getattr(siglip, name) == getattr(nyu, name) for name in same)


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ViT-Z: open_clip has no such model"):
        load_training(write(tmp_path, "model: {encoder: {tower: ViT-Z}}\n"))
    with pytest.raises(ConfigError, match=r"model.input_size: must be multiples of patch_size 14, got \[240, 240\]"):
        load_training(write(tmp_path, "model: {input_size: [240, 240], encoder: {tower: ViT-L-14}}\n"))
    with pytest.raises(ConfigError, match=r"model\.encoder: must be a group of settings"):
        load_training(write(tmp_path, "model: {encoder: 3}\n"))
