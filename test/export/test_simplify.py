"""The rewritten decoder computes the same function, in float64 to 12 digits, borders included."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from space_clip_ros.export.simplify import LowResolutionSkip, MergedUpsample, simplify
from space_clip_ros.export.subpixel import SubpixelConv, SubpixelTransposedConv
from space_clip_ros.model import SpaceClip, build, load_checkpoint
from space_clip_ros.model.adapters import adapter_parameters
from space_clip_ros.model.blocks import StructuralBlock, Upsample
from space_clip_ros.model_config import ADAPTED, AdapterConfig, DecoderConfig, EncoderConfig, ModelConfig

SIGLIP = {"kind": "siglip", "activation": "gelu_tanh", "layer_norm_eps": 1e-6}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def lively(module: nn.Module) -> nn.Module:
    """Give the batch norms the statistics of a trained model: fresh ones do nothing."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.running_mean, part.bias.data):
                tensor.normal_(0.0, 0.3)
            for tensor in (part.running_var, part.weight.data):
                tensor.uniform_(0.5, 2.0)
    return module.double().eval()


def check(model: SpaceClip, batch: int = 2) -> None:
    images = torch.randn(batch, 3, *model.config.input_size, dtype=torch.float64)
    with torch.inference_mode():
        expected = model(images, auxiliary=False).depth
        for quantised in (False, True):
            found = simplify(model, quantised)(images, auxiliary=False).depth
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert expected.std() > 0


@pytest.mark.parametrize("family", [{}, SIGLIP])
@pytest.mark.parametrize(("size", "channels"), [((32, 32), (40, 40, 24, 8)), ((16, 80), (5, 3, 4, 2))])
def test_random_models(family: dict, size: tuple[int, int], channels: tuple[int, int, int, int]) -> None:
    torch.manual_seed(3)
    encoder = EncoderConfig(width=32, heads=2, image_size=32, **family)
    decoder = DecoderConfig(channels=channels, film_hidden=8)
    model = build(ModelConfig(encoder=encoder, decoder=decoder, input_size=size))
    check(lively(model))


@pytest.mark.parametrize("name", ["clip_tiny", "clip_tiny_interpolated", "siglip_tiny"])
def test_the_references_models(reference_dir: Path, name: str) -> None:
    encoder = json.loads((reference_dir / "configs.json").read_text())[name]["encoder"]
    model = load_checkpoint(reference_dir / f"{name}_checkpoint.pt", encoder=encoder)
    check(model.double().eval())


@pytest.mark.parametrize("family", [{}, SIGLIP])
def test_adapters_are_merged_and_cross_attention_is_kept(family: dict) -> None:
    torch.manual_seed(3)
    adapters = AdapterConfig(rank=2, targets=ADAPTED)
    encoder = EncoderConfig(width=32, heads=2, image_size=32, adapters=adapters, **family)
    decoder = DecoderConfig(channels=(8, 8, 4, 4), film_hidden=8, fusion="cross_attention", attention_heads=2)
    config = ModelConfig(encoder=encoder, decoder=decoder, input_size=(32, 48))
    model = lively(build(config))
    learned = (*adapter_parameters(model.encoder.tower).values(), *model.decoder.cross_attention.parameters())
    for parameter in learned:
        parameter.data.normal_(0.0, 0.3)
    check(model)
    bare = build(dataclasses.replace(config, encoder=dataclasses.replace(encoder, adapters=AdapterConfig())))
    assert simplify(model).encoder.state_dict().keys() == bare.encoder.state_dict().keys()


def test_single_precision(model: SpaceClip) -> None:
    images = torch.randn(1, 3, *model.config.input_size)
    with torch.inference_mode():
        expected = model(images, auxiliary=False).depth
        torch.testing.assert_close(simplify(model)(images, auxiliary=False).depth, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("grid", [(1, 1), (3, 5)])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_skip_on_its_own_grid(grid: tuple[int, int], scale: int) -> None:
    size = (grid[0] * scale, grid[1] * scale)
    block = lively(StructuralBlock(6, 4))
    low = torch.randn(2, 6, size[0] // 2, size[1] // 2, dtype=torch.float64)
    skip = torch.randn(2, 4, *grid, dtype=torch.float64)
    with torch.inference_mode():
        rewritten = LowResolutionSkip(block, grid, size)(low, skip)
        torch.testing.assert_close(rewritten, block(low, skip), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_an_upsampling_step_with_its_border(size: tuple[int, int]) -> None:
    upsample = lively(Upsample(6, 4))
    upsample.transposed.bias.data.fill_(10.0)
    features = torch.randn(2, 6, *size, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(MergedUpsample(upsample)(features), upsample(features), rtol=1e-12, atol=1e-12)


def test_only_upsampling_steps_that_become_cheaper_are_merged() -> None:
    decoder = DecoderConfig(channels=(40, 40, 24, 24), film_hidden=8)
    encoder = EncoderConfig(width=32, heads=2, image_size=32)
    model = simplify(build(ModelConfig(encoder=encoder, decoder=decoder, input_size=(32, 32))))
    merged = [isinstance(block.upsample, MergedUpsample) for block in model.decoder.semantic_blocks]
    assert merged == [True, True, False, False]
    assert isinstance(model.depth_head.depth, SubpixelConv)


def test_nothing_is_transposed_where_convolutions_are_quantised(model: SpaceClip) -> None:
    parts = list(simplify(model, quantised=True).modules())
    assert not any(isinstance(part, nn.ConvTranspose2d) for part in parts)
    assert sum(isinstance(part, SubpixelTransposedConv) for part in parts) == 7


def test_the_model_stays_as_it_was(model: SpaceClip) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    simplify(model)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, msg=name)
