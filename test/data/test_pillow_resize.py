from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.data.pillow_resize import resize_bicubic


@pytest.mark.parametrize("size", [(352, 704), (224, 224), (100, 50), (500, 1500), (375, 1242), (7, 3)])
def test_equals_pillow_in_every_bit(size):
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed; it comes with torchvision")
    image = np.random.default_rng(0).integers(0, 256, (375, 1242, 3)).astype(np.uint8)
    expected = np.asarray(pillow.fromarray(image).resize(size[::-1], pillow.BICUBIC))
    np.testing.assert_array_equal(resize_bicubic(image, *size), expected)


def test_the_reference_s_pictures(reference_dir: Path, kitti_drive_dir: Path):
    with np.load(reference_dir / "preprocess_kitti_frame0.npz") as file:
        picture, network_input = file["image_352x704"], file["model_input"]
    resized = resize_bicubic(KittiDrive(kitti_drive_dir).image(0), 352, 704)
    np.testing.assert_array_equal(resized.transpose(2, 0, 1), picture)
    mean, std = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    normalised = (resize_bicubic(resized, 224, 224) / 255.0 - mean) / std
    np.testing.assert_allclose(normalised.transpose(2, 0, 1), network_input, atol=2e-3)
