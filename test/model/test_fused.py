"""Merged steps for a GPU compute what the plain model computes, in every shape that a model can have."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.encoder import fix_input_size
from space_clip_ros.model.fused import FusedConv, PatchProduct, fuse
from space_clip_ros.model.half import fold_norms, halve
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, LanguageConfig, ModelConfig

IMAGES = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1)) * 4 - 2
ENCODER = EncoderConfig(width=32, heads=2, image_size=32)
DECODER = DecoderConfig(channels=(8, 8, 8, 8), film_hidden=8)
BASE = ModelConfig(encoder=ENCODER, decoder=DECODER, input_size=(32, 48))
KINDS: dict[str, dict[str, Any]] = {
    "clip": {},
    "siglip": {"encoder": dataclasses.replace(ENCODER, kind="siglip", activation="gelu_tanh")},
    "stem": {"encoder": dataclasses.replace(ENCODER, stem="convolutional", trainable=True)},
    "no film": {"decoder": dataclasses.replace(DECODER, use_film=False)},
    "no structure": {"decoder": dataclasses.replace(DECODER, structural_states=())},
    "cross attention": {"decoder": dataclasses.replace(DECODER, fusion="cross_attention", attention_heads=2)},
    "names": {
        "uncertainty": True,
        "language": LanguageConfig(outputs=("embedding", "dense"), embed_dim=3, vocabulary=("road", "sky", "car")),
    },
    "patches": {"language": LanguageConfig(outputs=("embedding", "dense"), embed_dim=16)},
}


def varied(config: ModelConfig) -> SpaceClip:
    """Return a model without neutral steps: a step left out or doubled shows in its outputs."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = build(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "stem.project" in name:
            torch.nn.init.uniform_(parameter, -0.1, 0.3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    torch.nn.init.constant_(model.depth_head.depth.bias, 20.0)
    torch.nn.init.normal_(model.depth_head.depth.weight, std=2.0)
    return model


@torch.inference_mode()
def outputs(model: SpaceClip) -> list[torch.Tensor]:
    found = model(IMAGES, (60, 100), auxiliary=False)
    return [one for one in (found.depth, found.laplace_scale, found.embedding, found.dense) if one is not None]


def fused(model: SpaceClip) -> SpaceClip:
    changed = copy.deepcopy(model)
    fix_input_size(changed.encoder, changed.config.input_size)
    fold_norms(changed)
    fuse(changed)
    return changed


@pytest.mark.parametrize("kind", KINDS)
def test_merged_steps_give_the_same_outputs(kind: str) -> None:
    model = varied(dataclasses.replace(BASE, **KINDS[kind]))
    expected, found = outputs(model), outputs(fused(model))
    assert len(found) == len(expected) == len(model.config.outputs)
    assert expected[0].std() > 0.1
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["clip", "siglip", "names"])
def test_half_precision_moves_depth_by_its_rounding_only(kind: str) -> None:
    model = varied(dataclasses.replace(BASE, **KINDS[kind]))
    halved = fused(model)
    halve(halved)
    found, expected = outputs(halved)[0], outputs(model)[0]
    assert found.dtype == torch.float32 and not torch.equal(found, expected)
    assert ((found - expected).abs() / expected).mean() < 2e-3


def test_no_norm_and_no_film_is_left() -> None:
    changed = fused(varied(BASE))
    assert not any(isinstance(one, nn.BatchNorm2d) for one in changed.depth_head.modules())
    assert len(changed.decoder.film) == 0 and changed.decoder.film_bank.levels == 4


def test_normalisation_folds_into_the_patch_embedding() -> None:
    torch.manual_seed(2)
    conv = nn.Conv2d(3, 8, kernel_size=4, stride=4)
    gain, offset = torch.tensor([0.5, 1.5, 2.0]), torch.tensor([1.0, -2.0, 0.5])
    product = PatchProduct(conv)
    product.fold(gain, offset, (-1.0, 1.0))
    normalised = IMAGES.clamp(-1.0, 1.0) * gain.reshape(3, 1, 1) + offset.reshape(3, 1, 1)
    torch.testing.assert_close(product(IMAGES), conv(normalised), rtol=1e-4, atol=1e-5)


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True


@pytest.fixture
def cudnn(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Returns a function that puts cuDNN's two fused convolutions in place; ``error`` is what they fail with."""

    def install(error: str) -> list[str]:
        calls: list[str] = []

        def convolve(x: Any, weight: Any, bias: Any, *layout: Any) -> torch.Tensor:
            if error:
                raise RuntimeError(error)
            stride, padding, dilation, groups = layout
            plain = x.as_subclass(torch.Tensor).float()
            return torch.conv2d(plain, weight.float(), bias.float(), stride, padding, dilation, groups)

        def relu(x: Any, weight: Any, bias: Any, *layout: Any) -> torch.Tensor:
            calls.append("relu")
            return convolve(x, weight, bias, *layout).relu()

        def add_relu(x: Any, weight: Any, z: Any, alpha: float, bias: Any, *layout: Any) -> torch.Tensor:
            calls.append("add relu")
            return (convolve(x, weight, bias, *layout) + alpha * z.float()).relu()

        monkeypatch.setattr(torch, "cudnn_convolution_relu", relu)
        monkeypatch.setattr(torch, "cudnn_convolution_add_relu", add_relu)
        return calls

    return install


@pytest.mark.parametrize("error", ["", "Unable to find an engine to execute this computation\nmore"])
def test_one_kernel_of_cudnn_or_several(
    cudnn: Callable[[str], list[str]], caplog: pytest.LogCaptureFixture, error: str
) -> None:
    calls = cudnn(error)
    torch.manual_seed(3)
    conv = nn.Conv2d(3, 3, kernel_size=3, padding=1).half().requires_grad_(False)
    layer = FusedConv(conv)
    features = IMAGES.half()
    expected = torch.relu(torch.conv2d(features.float(), conv.weight.float(), conv.bias.float(), padding=1) + features)
    with caplog.at_level(logging.INFO), torch.inference_mode():
        for _ in range(2):
            found = layer(features.as_subclass(OnGpu), features)
            torch.testing.assert_close(found.as_subclass(torch.Tensor).float(), expected.float(), rtol=0.01, atol=0.01)
    # what cuDNN cannot do is not tried again in every run
    assert calls == (["add relu"] if error else ["add relu"] * 2)
    assert len(caplog.records) == bool(error) and ("(Unable to find an engine" in caplog.text) == bool(error)
