from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from space_clip_ros.errors import ConfigError, InputError, ModelError
from space_clip_ros.model import SpaceClip, build, predict_flip_averaged
from space_clip_ros.model.space_clip import with_uncertainty_factor
from space_clip_ros.model_config import DecoderConfig, ModelConfig


class DepthOnly(nn.Module):
    """The network alone, as an exporter takes it."""

    def __init__(self, model: SpaceClip) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images, output_size=(40, 56), auxiliary=False).depth


def test_parameters_of_the_published_model() -> None:
    with torch.device("meta"):
        model = build(ModelConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 97_850_420
    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == 12_050_996


def test_shapes_at_the_images_own_size_and_at_any_other(model: SpaceClip, images: torch.Tensor) -> None:
    out = model(images)
    assert [tuple(depth.shape) for depth in (out.depth, *out.auxiliary)] == [(2, 1, 32, 32)] * 4
    assert out.context.shape == (2, 32)
    out = model(images[:1, :, :16], output_size=(37, 53))
    assert [tuple(depth.shape) for depth in (out.depth, *out.auxiliary)] == [(1, 1, 37, 53)] * 4


def test_auxiliary_heads_run_by_default(model: SpaceClip, images: torch.Tensor) -> None:
    out = model(images, auxiliary=False)
    assert out.auxiliary == ()
    assert torch.equal(out.depth, model(images).depth)


def test_a_model_without_auxiliary_heads(config: ModelConfig, images: torch.Tensor) -> None:
    bare = build(dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, auxiliary_heads=False)))
    assert bare(images).auxiliary == ()
    assert not any(name.startswith("auxiliary_heads") for name in bare.state_dict())


def test_auxiliary_heads_have_at_least_16_hidden_channels(config: ModelConfig) -> None:
    wide = build(dataclasses.replace(config, decoder=DecoderConfig(channels=(64, 24, 8, 4), film_hidden=8)))
    assert [head.refine.conv.out_channels for head in wide.auxiliary_heads] == [32, 16, 16]


def test_forward_stores_nothing_and_is_deterministic(model: SpaceClip, images: torch.Tensor) -> None:
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    weights = copy.deepcopy(model.state_dict())
    first, second = model(images), model(images)
    assert torch.equal(first.depth, second.depth)
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


def test_training_reaches_the_decoder_and_not_the_frozen_tower(model: SpaceClip, images: torch.Tensor) -> None:
    model.train()
    assert model.decoder.training
    assert not model.encoder.training
    out = model(images)
    (out.depth.mean() + sum(depth.mean() for depth in out.auxiliary)).backward()
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    others = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    assert all(parameter.grad is not None for parameter in others)


def test_flip_averaging_is_blind_to_mirroring(model: SpaceClip, images: torch.Tensor) -> None:
    depth = predict_flip_averaged(model, images, (20, 30))
    mirrored = predict_flip_averaged(model, images.flip(-1), (20, 30))
    assert depth.shape == (2, 1, 20, 30)
    torch.testing.assert_close(depth, mirrored.flip(-1))


def test_wrong_images_are_refused(model: SpaceClip) -> None:
    with pytest.raises(InputError, match="multiples of 16 pixels, got 30 x 32"):
        model(torch.zeros(1, 3, 30, 32))


def test_pretrained_weights_that_do_not_exist(config: ModelConfig, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.safetensors: cannot be read"):
        build(config, pretrained=tmp_path / "missing.safetensors")


@pytest.mark.parametrize("size", [(32, 32), (48, 80)], ids=["own_size", "interpolated"])
def test_torch_export_gives_the_same(model: SpaceClip, size: tuple[int, int]) -> None:
    images = torch.randn(1, 3, *size)
    module = DepthOnly(model).eval()
    with torch.no_grad():
        exported = torch.export.export(module, (images,)).module()
        torch.testing.assert_close(exported(images), module(images), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("size", [(32, 32), (48, 80)], ids=["own_size", "interpolated"])
def test_traced_onnx_gives_the_same_for_any_batch(model: SpaceClip, size: tuple[int, int], tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    module, file = DepthOnly(model).eval(), str(tmp_path / "model.onnx")
    axes = {"images": {0: "batch"}, "depth": {0: "batch"}}
    torch.onnx.export(
        module,
        (torch.randn(2, 3, *size),),
        file,
        input_names=["images"],
        output_names=["depth"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        images = torch.randn(batch, 3, *size)
        with torch.no_grad():
            expected = module(images).numpy()
        (depth,) = session.run(None, {"images": images.numpy()})
        np.testing.assert_allclose(depth, expected, rtol=1e-3, atol=1e-4)


def test_uncertainty_changes_nothing_else_and_trains_nothing_else(config: ModelConfig, images: torch.Tensor) -> None:
    torch.manual_seed(3)
    plain = build(config)
    torch.manual_seed(3)
    model = build(dataclasses.replace(config, uncertainty=True))
    out = model(images, (40, 56))
    assert torch.equal(plain(images, (40, 56)).depth, out.depth)
    assert out.laplace_scale.shape == (2, 1, 8, 8) and bool((out.laplace_scale > 0).all())
    assert plain(images).laplace_scale is None and plain.standard_deviation(plain(images)) is None
    out.laplace_scale.sum().backward()
    reached = {name.partition(".")[0] for name, tensor in model.named_parameters() if tensor.grad is not None}
    assert reached == {"uncertainty_head"}


def test_the_standard_deviation_by_hand(config: ModelConfig, images: torch.Tensor) -> None:
    model = with_uncertainty_factor(build(dataclasses.replace(config, uncertainty=True)), 1.5)
    out = model(images)._replace(depth=torch.full((1, 1, 4, 6), 10.0), laplace_scale=torch.full((1, 1, 2, 3), 0.1))
    torch.testing.assert_close(model.relative_deviation(out), torch.full((1, 1, 2, 3), 0.1 * 2**0.5 * 1.5))
    torch.testing.assert_close(model.standard_deviation(out), torch.full((1, 1, 4, 6), 10.0 * 0.1 * 2**0.5 * 1.5))


def test_a_frozen_depth_stays_in_evaluation_mode(config: ModelConfig) -> None:
    model = build(dataclasses.replace(config, uncertainty=True))
    model.freeze_all_but("uncertainty")
    model.eval().train()
    training = {name.partition(".")[0] for name, module in model.named_modules() if module.training and name}
    assert training == {"uncertainty_head"}
    with pytest.raises(ConfigError, match=r"model\.uncertainty"):
        build(config).freeze_all_but("uncertainty")


def test_coarse_depth_is_the_second_block_s_and_trains_no_more_than_it_needs(
    config: ModelConfig, images: torch.Tensor
) -> None:
    trainable = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, trainable=True))
    model = build(dataclasses.replace(trainable, refinement=True, uncertainty=True))
    with torch.inference_mode():
        expected = model(images).auxiliary[1]
    model.freeze_all_but("coarse")
    model.eval()
    out = model(images)
    assert torch.equal(out.depth, expected) and out.auxiliary == () and out.laplace_scale is None
    model.train()(images).depth.sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    moving = {name for name, module in model.named_modules() if module.training and name}
    assert {"encoder", "decoder.semantic_blocks.1", "auxiliary_heads.1"} <= moving
    assert not moving & {"decoder.semantic_blocks.2", "depth_head", "refinement_head", "auxiliary_heads.0"}


def test_coarse_training_leaves_a_frozen_tower_frozen_and_needs_auxiliary_heads(config: ModelConfig) -> None:
    model = build(config)
    model.freeze_all_but("coarse")
    assert not any(parameter.requires_grad for parameter in model.encoder.parameters())
    assert all(parameter.requires_grad for parameter in model.decoder.semantic_blocks[:2].parameters())
    without = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, auxiliary_heads=False))
    with pytest.raises(ConfigError, match="auxiliary_heads"):
        build(without).freeze_all_but("coarse")
