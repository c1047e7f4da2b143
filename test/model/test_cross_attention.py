"""Cross-attention: no effect when new, equal to PyTorch's attention, kept by checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.model import SpaceClip, build, load_checkpoint, save_checkpoint
from space_clip_ros.model.checkpoint import read_metadata
from space_clip_ros.model.cross_attention import CrossAttention
from space_clip_ros.model_config import DecoderConfig, ModelConfig
from space_clip_ros.settings import parse


def attending(config: ModelConfig, heads: int = 2) -> SpaceClip:
    decoder = dataclasses.replace(config.decoder, fusion="cross_attention", attention_heads=heads)
    torch.manual_seed(0)
    return build(dataclasses.replace(config, decoder=decoder))


def randomise(module: nn.Module) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))


def test_a_new_one_changes_nothing(config: ModelConfig, adds_nothing: Callable[[SpaceClip, str], None]) -> None:
    adds_nothing(attending(config), ".cross_attention.")


def test_it_is_the_library_s_attention() -> None:
    ours, theirs = CrossAttention(8, 2).double(), nn.MultiheadAttention(8, 2, batch_first=True).double()
    randomise(ours)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
    theirs.out_proj = ours.output
    semantic, structural = (torch.randn(2, 8, *size, dtype=torch.float64) for size in ((2, 3), (4, 2)))
    query = ours.semantic_norm(semantic.flatten(2).transpose(1, 2))
    tokens = ours.structural_norm(structural.flatten(2).transpose(1, 2))
    expected = theirs(query, tokens, tokens)[0].transpose(1, 2).reshape(2, 8, 2, 3)
    torch.testing.assert_close(ours(semantic, structural) - semantic, expected)


def test_a_position_attends_to_structure_far_away(config: ModelConfig) -> None:
    """One changed structural token changes the semantic maps everywhere, which a gate cannot do."""
    model = attending(config).eval()
    randomise(model.decoder.cross_attention)
    encoded = model.encoder(torch.randn(1, 3, 64, 64))
    states = [state.clone() for state in encoded.states]
    states[2][:, -1] += 1.0
    with torch.inference_mode():
        before = model.decoder(encoded).semantic_projected[0]
        after = model.decoder(encoded._replace(states=tuple(states))).semantic_projected[0]
    assert bool(((after - before).abs().amax(dim=1) > 1e-6).all())


def test_how_many_parameters(config: ModelConfig, model: SpaceClip) -> None:
    count = sum(parameter.numel() for parameter in attending(config).parameters())
    expected = sum(4 * channels**2 + 8 * channels for channels in config.decoder.channels[:3])
    assert count - sum(parameter.numel() for parameter in model.parameters()) == expected


def test_the_published_model_s_cross_attention() -> None:
    """347,648 parameters, 2.9 % of those that train without it."""
    with torch.device("meta"):
        model = build(ModelConfig(decoder=DecoderConfig(fusion="cross_attention")))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 12_050_996 + 347_648


def test_it_learns(config: ModelConfig, images: torch.Tensor) -> None:
    model = attending(config).train()
    randomise(model.decoder.cross_attention)
    model(images).depth.mean().backward()
    assert all(parameter.grad is not None for parameter in model.decoder.cross_attention.parameters())


def test_files_keep_it_strictly(config: ModelConfig, images: torch.Tensor, tmp_path: Path) -> None:
    model, path = attending(config), tmp_path / "model.safetensors"
    randomise(model.decoder.cross_attention)
    save_checkpoint(model, path)
    assert torch.equal(load_checkpoint(path)(images).depth, model(images).depth)
    tensors = load_file(path)
    tensors.pop("decoder.cross_attention.1.query.weight")
    save_file(tensors, path, metadata=read_metadata(path))
    with pytest.raises(ModelError, match=r"missing: decoder\.cross_attention\.1\.query\.weight"):
        load_checkpoint(path)


def test_heads_that_do_not_fit() -> None:
    wrong = {"channels": [256, 128, 66, 32], "fusion": "cross_attention"}
    with pytest.raises(ConfigError, match="attention_heads: must divide the first 3 of channels"):
        parse(DecoderConfig, wrong)
    assert parse(DecoderConfig, {**wrong, "fusion": "gates"}).attention_heads == 4
