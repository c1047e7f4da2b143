"""Weights of an earlier model in a new one that has more parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.model import SpaceClip, save_checkpoint
from space_clip_ros.model.space_clip import HEADS_BESIDE_DEPTH
from space_clip_ros.model_config import LanguageConfig
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training.assembly import _load_initial_weights, _load_what_fits, open_frames

CLOSED = LanguageConfig(outputs=("dense",), embed_dim=2, vocabulary=("road", "car"))
JOINT = LanguageConfig(outputs=("dense",), embed_dim=24)


def test_heads_that_the_checkpoint_lacks_keep_their_first_weights(
    tiny_model: Callable[..., SpaceClip], tmp_path: Path
) -> None:
    plain = tiny_model()
    plain.depth_head.depth.bias.data.fill_(7.0)
    save_checkpoint(plain, tmp_path / "depth.safetensors")
    model = tiny_model(language=CLOSED, uncertainty=True)
    before = {
        name: tensor.clone() for name, tensor in model.state_dict().items() if name.startswith(HEADS_BESIDE_DEPTH)
    }
    _load_initial_weights(model, str(tmp_path / "depth.safetensors"), HEADS_BESIDE_DEPTH)
    after = model.state_dict()
    assert before and all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(torch.equal(after[name], tensor) for name, tensor in plain.state_dict().items())


def test_a_new_refinement_head_starts_from_the_head_of_names(
    tiny_model: Callable[..., SpaceClip], tmp_path: Path
) -> None:
    named = tiny_model(language=CLOSED)
    torch.nn.init.normal_(named.language_head.fine.conv.weight)
    save_checkpoint(named, tmp_path / "named.safetensors")
    model = tiny_model(language=CLOSED, refinement=True)
    _load_initial_weights(model, str(tmp_path / "named.safetensors"), HEADS_BESIDE_DEPTH)
    assert torch.equal(model.refinement_head.fine.conv.weight, named.language_head.fine.conv.weight)
    assert not model.refinement_head.correction.weight.any()
    image = torch.randn(1, 3, 32, 64)
    assert torch.equal(model.eval()(image).depth, named.eval()(image).depth)
    save_checkpoint(model, tmp_path / "refined.safetensors")
    with pytest.raises(ModelError, match=r"differing tensors: refinement_head\."):
        _load_initial_weights(named, str(tmp_path / "refined.safetensors"), HEADS_BESIDE_DEPTH)


def test_a_projection_comes_from_pretrained_weights(tiny_model: Callable[..., SpaceClip], tmp_path: Path) -> None:
    save_checkpoint(tiny_model(), tmp_path / "depth.safetensors")
    with pytest.raises(ModelError, match=r"differing tensors: encoder\.projection\.weight"):
        _load_initial_weights(tiny_model(language=JOINT), str(tmp_path / "depth.safetensors"), HEADS_BESIDE_DEPTH)


def test_what_fits_is_taken_and_the_rest_is_random(tiny_model: Callable[..., SpaceClip], tmp_path: Path) -> None:
    trained = tiny_model(language=CLOSED)
    save_checkpoint(trained, tmp_path / "trained.safetensors")
    model = tiny_model(language=CLOSED, channels=(8, 8, 6))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    said = _load_what_fits(model, str(tmp_path / "trained.safetensors"))
    assert "depth_head.refine.conv" in said and "encoder" not in said
    ours, theirs = model.state_dict(), trained.state_dict()
    for name, tensor in ours.items():
        fits = name in theirs and theirs[name].shape == tensor.shape
        assert torch.equal(tensor, theirs[name] if fits else before[name]), name


@pytest.mark.parametrize("what", ["train", "validation"])
def test_labels_are_the_vocabulary_s(tiny, tmp_path: Path, what: str) -> None:
    drive = str(write_drive(tmp_path, 1, seed=3, scans=False, labels=True, scale=0.15))
    language = {"outputs": ["dense"], "embed_dim": 2, "vocabulary": ["road", "sky"]}
    right = [{"path": drive, "labels": ["road", "sky"]}]
    for name in ("train", "validation"):
        assert open_frames(name, tiny(model__language=language, data__train=right, data__validation=right)).classes

    pictures = tmp_path / "leftImg8bit" / "val" / "town"
    pictures.mkdir(parents=True)
    (pictures / "a_leftImg8bit.png").touch()
    cityscapes = [{"path": str(tmp_path), "kind": "cityscapes"}]
    config = tiny(model__language=language, **{"data__train": right, f"data__{what}": cityscapes})
    with pytest.raises(ConfigError, match=rf"data\.{what}: has labels of road, .* 11 more, but .* is road, sky"):
        open_frames(what, config)
    sources = {"data__train": right, f"data__{what}": [{"path": drive}]}
    config = tiny(model__language=language, train_only="language", **sources)
    with pytest.raises(ConfigError, match=rf"data\.{what}: has no labels, which train_only: language needs"):
        open_frames(what, config)
