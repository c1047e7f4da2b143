"""Operations and weights of the network: worked out by hand, against the published ones, and stored in files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from space_clip_ros.export.cost import network_cost
from space_clip_ros.inference.metadata import DECODER, ENCODER, OnnxMetadata
from space_clip_ros.model import build
from space_clip_ros.model_config import AdapterConfig, DecoderConfig, EncoderConfig, LanguageConfig, ModelConfig

SMALL = ModelConfig(
    encoder=EncoderConfig(width=32, heads=2, image_size=32),
    decoder=DecoderConfig(channels=(16, 12, 8, 6), film_hidden=8),
    input_size=(32, 64),
)
BUNDLED = ("road_tiny", "road_tiny_int8")


def metadata(file: Path) -> OnnxMetadata:
    model = onnx.load(file)
    return OnnxMetadata.from_properties({entry.key: entry.value for entry in model.metadata_props}, file)


def test_the_published_model() -> None:
    """67.6 GFLOP, 33.7 of them in the encoder, by a count that leaves out attention and takes in auxiliary heads."""
    found = network_cost(ModelConfig())
    attention = 12 * 2 * 2 * 197 * 197 * 768
    encoder = found[ENCODER].operations - attention
    auxiliary = sum(2 * 9 * pixels * ci * ci // 2 for pixels, ci in ((784, 256), (3136, 128), (12544, 64)))
    assert encoder / 1e9 == pytest.approx(33.7, abs=0.05)
    assert (encoder + found[DECODER].operations + auxiliary) / 1e9 == pytest.approx(67.6, abs=0.05)


def test_one_encoder_block_by_hand() -> None:
    one, two = (
        network_cost(ModelConfig(encoder=EncoderConfig(width=64, heads=4, mlp_ratio=ratio)))[ENCODER]
        for ratio in (1.0, 2.0)
    )
    # Twice 64 more hidden units in 12 MLPs, for 197 tokens: 2 products of 64 x 64, two operations each.
    assert two.operations - one.operations == 12 * 2 * 2 * 197 * 64 * 64
    assert two.weights - one.weights == 12 * (2 * 64 * 64 + 64)


def test_language_by_hand() -> None:
    plain, width = network_cost(SMALL), 32
    joint = network_cost(dataclasses.replace(SMALL, language=LanguageConfig(("embedding", "dense"), 24)))
    # 8 patches attend to 9 tokens; the output projection; and the projection of the patches and of the class token.
    dense = 2 * 2 * 8 * 9 * width + 2 * 8 * width * width + 2 * 9 * width * 24
    assert joint[ENCODER].operations - plain[ENCODER].operations == dense
    assert joint[ENCODER].weights - plain[ENCODER].weights == width * 24
    assert joint[DECODER] == plain[DECODER]
    closed = network_cost(dataclasses.replace(SMALL, language=LanguageConfig(("dense",), 2, ("road", "car"))))
    # A patch grid of 2 x 4: so many places at one, two, four and eight times its size.
    coarse, context, middle, fine = 8, 32, 128, 512
    products = {
        "edges": fine * 9 * 3 * 16,
        "local": middle * 9 * 16 * 32,
        "surroundings": context * 9 * (32 * 64 + 2 * 64 * 64),
        "states and patches": coarse * (5 * width * 128 + 9 * 128 * 128 + 128 * 4 * 32),
        "context": context * (9 * ((32 + 64) * 64 + 2 * 64 * 64) + 64 * 4 * 16),
        "middle": middle * (9 * (16 + 32 + SMALL.decoder.channels[1]) * 32 + 32 * 4 * 8),
        "fine": fine * (9 * (8 + 16 + SMALL.decoder.channels[2]) * 24 + 24 * 2),
    }
    assert closed[DECODER].operations - plain[DECODER].operations == 2 * sum(products.values())
    assert closed[ENCODER] == plain[ENCODER]


def test_siglips_attention_by_hand() -> None:
    siglip = dataclasses.replace(SMALL, encoder=dataclasses.replace(SMALL.encoder, kind="siglip"))
    width, tokens, hidden = 32, 8, 128
    patches = 2 * tokens * width * 3 * 16 * 16
    attention = 2 * 2 * tokens * tokens * width
    block = attention + 2 * tokens * width * (3 * width + width + 2 * hidden)
    # The pooling head: one query over all tokens, and an MLP of its own.
    pooling = 2 * 2 * tokens * width + 2 * width * (width + tokens * 2 * width + width + 2 * hidden)
    assert network_cost(siglip)[ENCODER].operations == patches + 12 * block + pooling


def test_cross_attention_by_hand() -> None:
    attending = dataclasses.replace(SMALL, decoder=dataclasses.replace(SMALL.decoder, fusion="cross_attention"))
    patches, added = 8, 0
    for channels in SMALL.decoder.channels[:-1]:
        added += 2 * 2 * patches * patches * channels + 2 * patches * channels * 4 * channels
    plain, found = network_cost(SMALL)[DECODER], network_cost(attending)[DECODER]
    assert found.operations - plain.operations == added
    assert found.weights - plain.weights == sum(4 * c * c + 4 * c for c in SMALL.decoder.channels[:-1])


def test_operations_of_the_decoder_are_those_of_its_layers() -> None:
    model = build(SMALL)
    counted = 0

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
    assert network_cost(SMALL)[DECODER].operations == counted


def test_adapters_cost_nothing_once_merged() -> None:
    adapted = dataclasses.replace(SMALL.encoder, adapters=AdapterConfig(rank=4))
    assert network_cost(dataclasses.replace(SMALL, encoder=adapted)) == network_cost(SMALL)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_files_carry_their_counts(project_root: Path, name: str) -> None:
    found = metadata(project_root / "models" / f"{name}.onnx")
    assert found.cost == network_cost(found.config)
