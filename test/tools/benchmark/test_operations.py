"""Operations, bytes and the floor: worked out by hand, against the published model's, and against real modules."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from space_clip_ros.config import DecoderConfig, EncoderConfig, ModelConfig
from space_clip_ros.model import build
from space_clip_ros.tools.benchmark.operations import Work, count_work, floor

SMALL = ModelConfig(
    encoder=EncoderConfig(width=32, heads=2, image_size=32),
    decoder=DecoderConfig(channels=(16, 12, 8, 6), film_hidden=8),
    input_size=(32, 64),
)


def test_the_published_model() -> None:
    """67.6 GFLOP, 33.7 of them in the encoder, by a count that leaves out attention and takes in auxiliary heads."""
    work = count_work(ModelConfig(), 375, 1242)
    attention = 12 * 2 * 2 * 197 * 197 * 768
    encoder = work["encoder"].operations - attention
    auxiliary = sum(2 * 9 * pixels * ci * ci // 2 for pixels, ci in ((784, 256), (3136, 128), (12544, 64)))
    assert encoder / 1e9 == pytest.approx(33.7, abs=0.05)
    assert (encoder + work["decoder"].operations + auxiliary) / 1e9 == pytest.approx(67.6, abs=0.05)


def test_one_encoder_block_by_hand() -> None:
    blocks = [
        count_work(ModelConfig(encoder=EncoderConfig(width=64, heads=4, mlp_ratio=ratio)), 224, 224)["encoder"]
        for ratio in (1.0, 2.0)
    ]
    # Twice 64 more hidden units in 12 MLPs, for 197 tokens: 2 products of 64 x 64, two operations each.
    assert blocks[1].operations - blocks[0].operations == 12 * 2 * 2 * 197 * 64 * 64
    assert blocks[1].weights - blocks[0].weights == 12 * (2 * 64 * 64 + 64)


@pytest.mark.parametrize("fusion", ["gates", "cross_attention"])
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_weights_are_those_of_the_real_modules(kind: str, fusion: str) -> None:
    config = ModelConfig(
        encoder=EncoderConfig(kind=kind, width=32, heads=2, image_size=32),
        decoder=dataclasses.replace(SMALL.decoder, fusion=fusion),
        input_size=SMALL.input_size,
    )
    model = build(config)
    work = count_work(config, 60, 100)
    decoder = _weights(model.decoder) + _weights(model.depth_head)
    assert work["decoder"].weights == decoder
    norms = sum(
        parameter.numel()
        for module in model.encoder.modules()
        if isinstance(module, nn.LayerNorm)
        for parameter in module.parameters()
    )
    every = sum(parameter.numel() for parameter in model.encoder.parameters())
    # Left out by the count: layer norms; counted besides: a bias that CLIP's patch convolution does not have.
    assert work["encoder"].weights == pytest.approx(every - norms, abs=3 * 32)


def _weights(module: nn.Module) -> int:
    """Linear and convolution weights, with one bias an output: their own or their batch norm's once folded."""
    total = 0
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            outputs = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
            total += layer.weight.numel() + outputs
    return total


def test_decoder_operations_are_those_of_the_real_modules() -> None:
    model = build(SMALL)
    counted = 0.0

    def hook(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        if isinstance(layer, nn.Linear):
            counted += 2 * output.numel() * layer.in_features
        elif isinstance(layer, nn.ConvTranspose2d):
            counted += 2 * output.numel() * layer.in_channels  # 2 x 2 of stride 2: one input pixel each
        elif isinstance(layer, nn.Conv2d):
            counted += 2 * output.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]

    for module in (model.decoder, model.depth_head):
        for layer in module.modules():
            layer.register_forward_hook(hook)
    with torch.inference_mode():
        model(torch.zeros(1, 3, *SMALL.input_size), auxiliary=False)
    modulation = 4 * 2 * 8 * 32
    assert count_work(SMALL, 60, 100)["decoder"].operations == counted + modulation


def test_resizes_by_hand() -> None:
    work = count_work(SMALL, 64, 128)
    # Twice smaller: 8 taps. Across: 64 rows x 64 columns; down: 32 x 64; then one multiply-add a value; 3 channels.
    assert work["preprocess"].operations == 2 * 3 * (64 * 64 * 8 + 32 * 64 * 8 + 32 * 64)
    assert work["postprocess"].operations == 7 * 64 * 128


def test_a_batch_shares_its_weights() -> None:
    one, four = count_work(SMALL, 60, 100), count_work(SMALL, 60, 100, batch=4)
    for stage, work in one.items():
        assert four[stage] == Work(4 * work.operations, work.weights)


def test_the_floor_by_hand() -> None:
    work = {
        "preprocess": Work(0.0),
        "encoder": Work(4e9, 1_000_000),
        "decoder": Work(6e9, 2_000_000),
        "postprocess": Work(0.0),
    }
    least = floor(work, height=100, width=200, batch=2, precision="fp32", gflops=100.0, gbytes=10.0)
    image, depth = 2 * 100 * 200 * 3, 2 * 100 * 200 * 4
    assert least.operations == 10e9
    assert least.bytes == 12_000_000 + image + depth
    assert least.compute_ms == pytest.approx(100.0)
    assert least.memory_ms == pytest.approx((12_000_000 + image + depth) / 10e9 * 1e3)
    assert least.ms == least.compute_ms
    assert least.stages_ms == pytest.approx(
        {"preprocess": image / 1e7, "encoder": 40.0, "decoder": 60.0, "postprocess": depth / 1e7}
    )
    slow = floor(work, 100, 200, 2, "int8", gflops=1e6, gbytes=1.0)
    assert slow.bytes == 3_000_000 + image + depth
    assert slow.ms == slow.memory_ms
