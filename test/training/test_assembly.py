"""Weights of an earlier model in a new one that has more parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from space_clip_ros.config import LanguageConfig
from space_clip_ros.errors import ModelError
from space_clip_ros.model import SpaceClip, save_checkpoint
from space_clip_ros.training.assembly import _HEADS, _load_initial_weights

CLOSED = LanguageConfig(outputs=("dense",), embed_dim=2, vocabulary=("road", "car"))
JOINT = LanguageConfig(outputs=("dense",), embed_dim=24)


def test_heads_that_the_checkpoint_lacks_keep_their_first_weights(
    tiny_model: Callable[..., SpaceClip], tmp_path: Path
) -> None:
    plain = tiny_model()
    plain.depth_head.depth.bias.data.fill_(7.0)
    save_checkpoint(plain, tmp_path / "depth.safetensors")
    model = tiny_model(language=CLOSED, uncertainty=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if name.startswith(_HEADS)}
    _load_initial_weights(model, str(tmp_path / "depth.safetensors"), _HEADS)
    after = model.state_dict()
    assert before and all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(torch.equal(after[name], tensor) for name, tensor in plain.state_dict().items())


def test_a_projection_comes_from_pretrained_weights(tiny_model: Callable[..., SpaceClip], tmp_path: Path) -> None:
    save_checkpoint(tiny_model(), tmp_path / "depth.safetensors")
    with pytest.raises(ModelError, match=r"differing tensors: encoder\.projection\.weight"):
        _load_initial_weights(tiny_model(language=JOINT), str(tmp_path / "depth.safetensors"), _HEADS)
