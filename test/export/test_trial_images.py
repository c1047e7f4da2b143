"""The images that an export is tried on."""

from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.export.trial_images import fit, synthetic_images


@pytest.mark.parametrize("size", [(375, 1242), (1, 1), (5, 300)])
def test_synthetic_images_differ_and_repeat(size: tuple[int, int]) -> None:
    images = synthetic_images(*size)
    assert all(image.shape == (*size, 3) and image.dtype == np.uint8 for image in images)
    for image, again in zip(images, synthetic_images(*size), strict=True):
        np.testing.assert_array_equal(image, again)


def test_the_checkerboard_reaches_both_ends() -> None:
    checkerboard = synthetic_images(40, 40)[-1]
    assert set(np.unique(checkerboard)) == {0, 255}


def test_fit() -> None:
    image = synthetic_images(40, 60)[0]
    assert fit(image, (40, 60)) is image
    assert fit(image, (20, 90)).shape == (20, 90, 3)
