from __future__ import annotations

import numpy as np

from space_clip_ros.synthetic.noise import enlarge, fractal, smooth_curve


def test_fractal_is_normalised_tiles_and_repeats_by_seed() -> None:
    field = fractal(np.random.default_rng(1), 64, 4, 5)
    assert field.shape == (64, 64)
    np.testing.assert_allclose([field.mean(), field.std()], [0, 1], atol=1e-3)
    np.testing.assert_array_equal(field, fractal(np.random.default_rng(1), 64, 4, 5))
    # The step across the border is no larger than steps inside.
    inside = np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[:, 0] - field[:, -1]).max() <= inside * 1.2


def test_fractal_of_several_channels() -> None:
    assert fractal(np.random.default_rng(0), 32, 4, 3, channels=3).shape == (32, 32, 3)


def test_enlarge_keeps_a_grid_that_is_large_enough() -> None:
    grid = np.ones((8, 8), np.float32)
    assert enlarge(grid, 8) is grid


def test_smooth_curve_is_smooth_and_of_unit_size() -> None:
    curve = smooth_curve(np.random.default_rng(5), 20_000, 50.0)
    assert 0.7 < curve.std() < 1.3
    assert np.abs(np.diff(curve)).max() < 0.15
