"""The resize's weights against Pillow itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from space_clip_ros.model.resize import ResizeBand, resize_bands

CPU = torch.device("cpu")


def matrix(size_in: int, size_out: int, bands: int = 1) -> np.ndarray:
    """The bands put together as one (size_out, size_in) matrix."""
    rows = []
    for band in resize_bands(size_in, size_out, bands, CPU):
        row = np.zeros((len(band.weights), size_in), np.float32)
        row[:, band.begin : band.end] = band.weights.numpy()
        rows.append(row)
    return np.concatenate(rows)


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 400),
    out=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_equals_pillows_float_resize_at_any_size(height: int, width: int, out: tuple[int, int], seed: int) -> None:
    image = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((out[1], out[0]), Image.Resampling.BICUBIC))
    ours = matrix(height, out[0]) @ image @ matrix(width, out[1]).T
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * 255)


@pytest.mark.parametrize(("size_in", "size_out"), [(1242, 224), (375, 224), (1920, 96), (97, 224), (7, 3)])
def test_bands_are_the_matrix_cut_into_pieces(size_in: int, size_out: int) -> None:
    np.testing.assert_allclose(matrix(size_in, size_out, 3), matrix(size_in, size_out, 1), rtol=1e-6, atol=1e-9)


def test_shrinking_by_two_by_hand() -> None:
    # 8 pixels to 4: scale 2, window radius 4; output 1 is centred on 3.0, pixel x at distance |x + 0.5 - 3| / 2
    distances = np.abs(np.arange(8) + 0.5 - 3.0) / 2.0
    near = 1.5 * distances**3 - 2.5 * distances**2 + 1.0
    far = -0.5 * distances**3 + 2.5 * distances**2 - 4.0 * distances + 2.0
    weights = np.where(distances < 1, near, np.where(distances < 2, far, 0.0))
    np.testing.assert_allclose(matrix(8, 4)[1], weights / weights.sum(), rtol=1e-6, atol=1e-8)


def test_an_axis_of_its_own_size_stays() -> None:
    np.testing.assert_array_equal(matrix(16, 16), np.eye(16, dtype=np.float32))


def test_bands_read_only_what_they_need() -> None:
    bands = resize_bands(1242, 224, 8, CPU)
    assert all(isinstance(band, ResizeBand) and band.weights.shape[1] == band.end - band.begin for band in bands)
    assert sum(band.weights.numel() for band in bands) < 0.15 * 1242 * 224


def test_a_symbolic_size_gives_the_same_weights() -> None:
    for constant, symbolic in zip(
        resize_bands(375, 224, 4, CPU), resize_bands(torch.tensor(375), 224, 4, CPU), strict=True
    ):
        assert (constant.begin, constant.end) == (int(symbolic.begin), int(symbolic.end))
        torch.testing.assert_close(constant.weights, symbolic.weights, rtol=0, atol=0)
