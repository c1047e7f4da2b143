"""The pipeline in half precision: how far the resize moves grey levels, and depth."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from space_clip_ros.inference.self_check import check_pictures
from space_clip_ros.inference.torch_backend import gpu_graph, prepare_for_gpu
from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.gpu_pipeline import HalfImageToEstimate, patch_product
from space_clip_ros.model.image_to_depth import ImageToDepth, ImageToEstimate
from space_clip_ros.model.resize import CENTRE, half_weights, resize_bands, shrinks
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, LanguageConfig, ModelConfig

HOST = torch.device("cpu")
FACTOR = 64
"""Keeps the patch embedding's weights at their size."""
# 720p to the published network, KITTI to road_tiny's and to the published one, and the largest error, grey levels.
SIZES = [((720, 1280), (224, 224), 0.06), ((375, 1242), (96, 320), 0.06), ((375, 1242), (224, 224), 0.07)]


def product(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.float16]:
    """Multiply as tensor cores do: products of halves, summed in float32, stored as halves."""
    assert left.dtype == right.dtype == np.float16
    return (left.astype(np.float32) @ right.astype(np.float32)).astype(np.float16)


@pytest.mark.parametrize(("size", "to", "largest"), SIZES)
def test_half_precision_hardly_moves_grey_levels(size: tuple[int, int], to: tuple[int, int], largest: float) -> None:
    assert shrinks(size, to)
    rows, columns = (resize_bands(before, after, 1, HOST)[0].weights for before, after in zip(size, to, strict=True))
    half_rows, half_columns = half_weights(rows / FACTOR).numpy(), half_weights(columns).numpy()
    for image in [*check_pictures(*size), np.full((*size, 3), 255, np.uint8)]:
        grey = np.ascontiguousarray(image[..., 0], np.float32)
        exact = (rows.numpy() @ (grey @ columns.numpy().T).clip(0, 255)).clip(0, 255)
        narrow = product((grey - CENTRE).astype(np.float16), half_columns.T).clip(-CENTRE, 255 - CENTRE)
        small = product(half_rows, narrow).astype(np.float32) * FACTOR
        error = np.abs(small.clip(-CENTRE, 255 - CENTRE) + CENTRE - exact)
        assert error.max() < largest and error.mean() < 0.02, (error.max(), error.mean())


def test_half_weights_keep_their_sum() -> None:
    weights = resize_bands(1280, 224, 1, HOST)[0].weights
    assert (half_weights(weights).double().sum(dim=1) - 1.0).abs().max() < 1e-6
    assert (weights.half().double().sum(dim=1) - 1.0).abs().max() > 1e-4
    assert (half_weights(weights).double() - weights).abs().max() < 3e-4


def network(**facts: Any) -> SpaceClip:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    encoder = EncoderConfig(width=32, heads=2, image_size=32, **facts.pop("encoder", {}))
    config = ModelConfig(encoder=encoder, decoder=DecoderConfig(channels=(8, 8, 8, 8)), input_size=(32, 64), **facts)
    model = build(config)
    torch.nn.init.constant_(model.depth_head.depth.bias, 20.0)
    torch.nn.init.normal_(model.depth_head.depth.weight, std=2.0)
    return model


LANGUAGE = LanguageConfig(outputs=("dense",), embed_dim=3, vocabulary=("road", "sky", "car"))


@pytest.mark.parametrize(
    ("facts", "folded"),
    [
        ({}, True),
        ({"encoder": {"stem": "convolutional", "trainable": True}}, False),
        ({"language": LANGUAGE, "uncertainty": True}, False),
    ],
    ids=["clip", "stem", "names"],
)
@torch.inference_mode()
def test_the_whole_pipeline_in_half_precision_agrees_with_float32(facts: dict[str, Any], folded: bool) -> None:
    model = network(**facts)
    images = torch.from_numpy(np.stack(check_pictures(60, 100)))
    expected = ImageToEstimate(model, (60, 100))(images)
    ready = copy.deepcopy(model)
    prepare_for_gpu(ready, half=True)
    pipeline = gpu_graph(ready, (60, 100))
    assert isinstance(pipeline, HalfImageToEstimate)
    assert np.isfinite(patch_product(ready).limits).all() == folded
    found = pipeline(images)
    assert pipeline.preprocess(images).dtype == torch.float16
    assert [one.shape for one in found] == [one.shape for one in expected]
    assert ((found[0] - expected[0]).abs() / expected[0]).mean() < 2e-3
    for one, other in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02)


@torch.inference_mode()
def test_in_float32_the_pipeline_is_that_of_a_cpu() -> None:
    model = network()
    images = torch.from_numpy(np.stack(check_pictures(60, 100)))
    expected = ImageToDepth(model, (60, 100))(images)
    ready = copy.deepcopy(model)
    prepare_for_gpu(ready, half=False)
    torch.testing.assert_close(gpu_graph(ready, (60, 100))(images)[0], expected, rtol=1e-4, atol=1e-3)
