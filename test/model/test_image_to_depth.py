"""Image in, depth out, in one module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from space_clip_ros.model import SpaceClip, build
from space_clip_ros.model.image_to_depth import ImageToDepth
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, ModelConfig


@pytest.fixture
def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, 50, 90, 3), dtype=torch.uint8, generator=generator)


def test_depth_has_the_images_size(model: SpaceClip, image: torch.Tensor) -> None:
    with torch.inference_mode():
        depth = ImageToDepth(model)(image)
    assert depth.shape == (2, 50, 90) and depth.dtype == torch.float32
    assert depth.min() >= 0 and depth.std() > 0


def test_fixed_and_any_size_and_every_number_of_bands_agree(model: SpaceClip, image: torch.Tensor) -> None:
    with torch.inference_mode():
        expected = ImageToDepth(model)(image)
        for bands in (1, 3):
            depth = ImageToDepth(model, (50, 90), bands)(image)
            torch.testing.assert_close(depth, expected, rtol=1e-4, atol=1e-4)


def test_is_the_model_between_the_two_resizes(model: SpaceClip, image: torch.Tensor) -> None:
    graph = ImageToDepth(model)
    with torch.inference_mode():
        small = model(graph.preprocess(image), auxiliary=False).depth
        expected = functional.interpolate(small, (50, 90), mode="bilinear", align_corners=False)[:, 0]
        torch.testing.assert_close(graph(image), expected)


def test_values_are_clamped_and_normalised(model: SpaceClip) -> None:
    white = torch.full((1, 40, 70, 3), 255, dtype=torch.uint8)
    white[:, 20:] = 0
    with torch.inference_mode():
        inputs = ImageToDepth(model).preprocess(white)
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (model.config.mean, model.config.std))
    pixels = inputs[0] * std + mean
    # Without clamping, the bicubic kernel overshoots by 7 % at such an edge.
    assert pixels.min() > -1e-6 and pixels.max() < 1 + 1e-6
    torch.testing.assert_close(pixels[:, 0, 0], torch.ones(3))


def test_equals_pillows_8_bit_resize_but_for_its_rounding() -> None:
    config = ModelConfig(
        encoder=EncoderConfig(width=32, heads=2, image_size=32),
        decoder=DecoderConfig(channels=(8, 8, 8, 8)),
        input_size=(96, 160),
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
    )
    pixels = np.random.default_rng(3).integers(0, 256, (375, 500, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize((160, 96), Image.Resampling.BICUBIC), np.float32)
    with torch.inference_mode():
        inputs = ImageToDepth(build(config)).preprocess(torch.from_numpy(pixels)[None])
    # Pillow rounds after each pass: half a level, and another half that the second pass's weights magnify.
    np.testing.assert_allclose(inputs[0].permute(1, 2, 0).numpy(), expected, atol=1.25)


def test_equals_the_reference_preprocessing(reference_dir: Path) -> None:
    with np.load(reference_dir / "preprocess_kitti_frame0.npz") as stored:
        image, expected = stored["image_352x704"], stored["model_input"].astype(np.float32)
    config = ModelConfig(encoder=EncoderConfig(width=32, heads=2), decoder=DecoderConfig(channels=(8, 8, 8, 8)))
    with torch.inference_mode():
        inputs = ImageToDepth(build(config)).preprocess(torch.from_numpy(image.transpose(1, 2, 0))[None])[0].numpy()
    # One of 255 levels is 0.0146 here, and the reference rounds to levels.
    difference = np.abs(inputs - expected)
    assert difference.max() < 1.25 * 0.0146 and difference.mean() < 0.3 * 0.0146
