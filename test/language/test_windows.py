from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.language.windows import window_starts, windowed_dense


def test_the_published_figures_take_36_windows() -> None:
    assert len(window_starts(1120)) * len(window_starts(560)) == 36
    assert window_starts(300, 224, 112) == [0, 76] and window_starts(224) == [0]


def patch_means(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows, columns = (size // 8 for size in image.shape[:2])
    return np.asarray(image.reshape(rows, 8, columns, 8, 3).mean(axis=(1, 3)), np.float32)


def test_features_of_a_place_come_back_at_that_place() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    np.testing.assert_allclose(windowed_dense(patch_means, image, 16, 8), patch_means(image), rtol=1e-6)


def test_overlapping_windows_are_averaged() -> None:
    calls = iter(range(3))
    result = windowed_dense(
        lambda _: np.full((2, 2, 1), next(calls), np.float32), np.zeros((16, 32, 3), np.uint8), 16, 8
    )
    np.testing.assert_array_equal(result[:, :, 0], [[0.0, 0.5, 1.5, 2.0]] * 2)


def test_windows_that_do_not_fit_are_refused() -> None:
    image = np.zeros((20, 32, 3), np.uint8)
    with pytest.raises(InputError, match="need stride <= window <= size, got 8, 24 and 20 pixels"):
        windowed_dense(patch_means, image, 24, 8)
    with pytest.raises(InputError, match="height, width and stride must be multiples of 8 pixels"):
        windowed_dense(patch_means, image, 16, 8)
    with pytest.raises(InputError, match="of 16 pixels give 2 x 3 features"):
        windowed_dense(lambda _: np.zeros((2, 3, 1), np.float32), image, 16, 8)
