"""Models with the reference's switches and other towers: every file format computes what PyTorch does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from space_clip_ros.export.int8 import to_int8
from space_clip_ros.export.onnx import _traced, export
from space_clip_ros.export.simplify import simplify
from space_clip_ros.export.trial_images import synthetic_images
from space_clip_ros.inference import load_predictor
from space_clip_ros.model import SpaceClip, build, load_checkpoint, save_checkpoint
from space_clip_ros.model.encoder import fix_input_size
from space_clip_ros.model.half import fold_norms, fuse_quick_gelu, halve
from space_clip_ros.model.image_to_depth import ImageToDepth
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig

SIZE = (40, 60)
PATCH_14 = {"layers": 3, "patch_size": 14, "image_size": 28}
SIGLIP = {"kind": "siglip", "activation": "gelu_tanh", "layer_norm_eps": 1e-6}
# encoder settings, decoder settings, the rest of the model's
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "no_film": ({}, {"use_film": False}, {}),
    "no_structural_pathway": ({}, {"use_structural_pathway": False}, {}),
    "other_states": ({}, {"semantic_states": (0, 2, 1, 2), "structural_states": (2, 2, 1, 0)}, {}),
    "one_block": ({}, {"channels": (6,)}, {}),
    "two_blocks": ({}, {"channels": (8, 6), "use_film": False}, {"uncertainty": True}),
    "five_blocks": ({}, {"channels": (8, 8, 8, 6, 4)}, {"uncertainty": True}),
    "clip_patch_14": (PATCH_14, {}, {"input_size": (42, 56)}),
    "siglip_patch_14": ({**PATCH_14, **SIGLIP, "mlp_ratio": 3.7362}, {}, {"input_size": (42, 28)}),
}


def made(name: str) -> SpaceClip:
    encoder, decoder, rest = MODELS[name]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = build(
        ModelConfig(
            encoder=EncoderConfig(**{"width": 16, "layers": 2, "heads": 2, "image_size": 32, **encoder}),
            decoder=DecoderConfig(**{"channels": (8, 8, 6, 4), "film_hidden": 8, **decoder}),
            **{"input_size": (32, 48), **rest},
        )
    )
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0.0, 0.1)
                part.running_var.uniform_(0.5, 2.0)
                part.bias.uniform_(0.2, 0.6)
        spread(model, ImageToDepth(model, SIZE).preprocess(torch.from_numpy(synthetic_images(*SIZE)[1])[None]))
    return model


def spread(model: SpaceClip, images: torch.Tensor) -> None:
    """Set the last convolution so that depth goes from 5 to 15 m at the network's own size."""
    depth = model.depth_head.depth
    depth.bias.fill_(100.0)
    values = model(images, auxiliary=False).depth
    factor = 10.0 / (values.max() - values.min())
    depth.weight.mul_(factor)
    depth.bias.copy_(15.0 - (values.max() - 100.0) * factor)


# Lower precisions rewrite operators, and the others have none that these do not have.
CONVERTED = ["no_film", "no_structural_pathway", "two_blocks", "siglip_patch_14"]


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> SpaceClip:
    return made(request.param)


@pytest.fixture
def expected(model: SpaceClip) -> np.ndarray:
    with torch.inference_mode():
        depth = ImageToDepth(model, SIZE)(torch.from_numpy(synthetic_images(*SIZE)[1])[None])[0].numpy()
    assert np.ptp(depth) > 1.0, "the comparisons below must be able to fail"
    return depth


def exported_depth(model: SpaceClip, file: Path, precision: str) -> np.ndarray:
    report = export(model, file, *SIZE, precision=precision)
    assert report.metadata.config == model.config
    with load_predictor(file, backend="onnxruntime") as predict:
        return predict(synthetic_images(*SIZE)[1])


def test_exports_are_proved_and_run(model: SpaceClip, expected: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_allclose(exported_depth(model, tmp_path / "model.onnx", "fp32"), expected, rtol=1e-3)


@pytest.mark.parametrize("model", CONVERTED, indirect=True)
def test_exports_in_half_precision(model: SpaceClip, expected: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_allclose(exported_depth(model, tmp_path / "model.onnx", "fp16"), expected, rtol=5e-2)


@pytest.mark.parametrize("model", CONVERTED, indirect=True)
def test_int8_computes_the_model(model: SpaceClip, expected: np.ndarray) -> None:
    images = synthetic_images(*SIZE)
    quantised = to_int8(_traced(simplify(model, quantised=True), SIZE, 1), images, SIZE, 1)
    session = onnxruntime.InferenceSession(quantised.SerializeToString(), providers=["CPUExecutionProvider"])
    depth = session.run(None, {"image": images[1][None]})[0][0]
    assert not np.array_equal(depth, expected)
    assert np.abs(depth / expected - 1.0).mean() < 0.1


def test_checkpoints_carry_the_switches(model: SpaceClip, tmp_path: Path) -> None:
    save_checkpoint(model, tmp_path / "model.safetensors")
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    assert loaded.config == model.config
    images = torch.randn(1, 3, *model.config.input_size)
    with torch.inference_mode():
        assert torch.equal(loaded(images).depth, model(images).depth)


@pytest.mark.parametrize("name", ["clip_patch_14", "siglip_patch_14", "no_film"])
def test_the_half_precision_path_and_a_fixed_input_size_change_only_rounding(name: str) -> None:
    changed, plain = made(name), made(name)
    fold_norms(changed)
    fuse_quick_gelu(changed)
    fix_input_size(changed.encoder, changed.config.input_size)
    images = torch.randn(2, 3, *plain.config.input_size)
    with torch.inference_mode():
        expected = plain(images, auxiliary=False).depth
        torch.testing.assert_close(changed(images, auxiliary=False).depth, expected, rtol=1e-4, atol=1e-4)
        halve(changed, torch.bfloat16)
        torch.testing.assert_close(changed(images, auxiliary=False).depth, expected, rtol=0.1, atol=0.1)
