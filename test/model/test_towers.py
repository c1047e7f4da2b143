"""Towers by open_clip's names: the settings are those that open_clip and timm build the model with."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch

from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.model import SpaceClip
from space_clip_ros.model.towers import tower_settings, with_tower
from space_clip_ros.model_config import EncoderConfig, ModelConfig
from space_clip_ros.settings import parse

SPREAD = {
    12: ((12, 9, 6, 3), (2, 1, 0)),
    24: ((24, 18, 12, 6), (4, 2, 0)),
    27: ((27, 20, 14, 7), (5, 2, 0)),
    32: ((32, 24, 16, 8), (5, 3, 0)),
}


@pytest.mark.parametrize(
    ("name", "layers", "size"),
    [
        ("ViT-B-16-quickgelu", 12, 224),
        ("ViT-L-14-quickgelu", 24, 224),
        ("ViT-L-14-336", 24, 336),
        ("ViT-H-14", 32, 224),
        ("ViT-B-16-SigLIP", 12, 224),
        ("ViT-L-16-SigLIP2-384", 24, 384),
        ("ViT-SO400M-14-SigLIP-384", 27, 378),
        ("ViT-SO400M-16-SigLIP2-256", 27, 256),
    ],
)
def test_the_tower_has_open_clips_tensors_and_the_states_are_spread(name: str, layers: int, size: int) -> None:
    config = parse(ModelConfig, with_tower({"encoder": {"tower": name}}))
    assert config.encoder.layers == layers and config.input_size == (size, size)
    assert config.states == SPREAD[layers]
    with torch.device("meta"):
        ours = SpaceClip(config).encoder.tower
        theirs: Any = open_clip.create_model(name, device="meta", load_weights=False).visual
    tower = theirs.trunk if config.encoder.kind == "siglip" else theirs
    shapes = {key: tensor.shape for key, tensor in tower.state_dict().items() if key != "proj"}
    assert {key: tensor.shape for key, tensor in ours.state_dict().items()} == shapes
    if config.encoder.kind == "siglip":
        theirs_block, ours_block = tower.blocks[0], ours.blocks[0]
        pairs = [(theirs_block.mlp.act, ours_block.mlp.act)]
        heads = theirs_block.attn.num_heads, tower.attn_pool.num_heads
        assert heads == (ours_block.attn.num_heads, ours.attn_pool.num_heads)
        assert theirs_block.norm1.eps == config.encoder.layer_norm_eps
    else:
        theirs_block, ours_block = tower.transformer.resblocks[0], ours.transformer.resblocks[0]
        pairs = [(theirs_block.mlp.gelu, ours_block.mlp.gelu)]
        assert theirs_block.attn.num_heads == ours_block.attn.num_heads
        assert theirs_block.ln_1.eps == config.encoder.layer_norm_eps
    values = torch.linspace(-4.0, 4.0, 33)
    assert all(torch.equal(first(values), second(values)) for first, second in pairs)


def test_the_default_model_is_open_clips() -> None:
    assert parse(ModelConfig, with_tower({"encoder": {"tower": "ViT-B-16-quickgelu"}})) == ModelConfig()


def test_weights_may_have_another_activation_and_normalisation() -> None:
    assert tower_settings("ViT-L-14")["encoder"]["activation"] == "gelu"
    assert tower_settings("ViT-L-14", "openai")["encoder"]["activation"] == "quick_gelu"
    assert tower_settings("ViT-B-16-SigLIP", "webli")["mean"] == [0.5, 0.5, 0.5]


def test_given_settings_stay() -> None:
    values = {"name": "mine", "input_size": [224, 448], "encoder": {"tower": "ViT-L-14", "activation": "quick_gelu"}}
    config = parse(ModelConfig, with_tower(values))
    assert (config.name, config.input_size, config.encoder.activation) == ("mine", (224, 448), "quick_gelu")
    assert config.encoder.patch_size == 14 and not config.encoder.tower
    assert with_tower({"encoder": {"width": 32}}) == {"encoder": {"width": 32}}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ViT-Z-1", "open_clip has no such model"),
        ("RN50", "its tower is a ResNet, not a ViT"),
        ("ViT-L-14-CLIPA", "its tower has final_ln_after_pool, no_ln_pre, pool_type"),
        ("ViTamin-S", "its tower has timm_drop"),
    ],
)
def test_towers_that_cannot_be_built(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        tower_settings(name)


def test_a_tower_that_was_not_filled_in_is_no_vit_b16() -> None:
    config = ModelConfig(encoder=EncoderConfig(tower="ViT-L-14"), input_size=(378, 378))
    assert not list(config.problems())
    with pytest.raises(ConfigError, match="ViT-L-14 stands for settings that were not filled in"):
        SpaceClip(config)
