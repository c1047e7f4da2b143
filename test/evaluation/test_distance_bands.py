from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.evaluation.distance_bands import ALL, BANDS, EDGES_M, band_errors, error_sums, mean_bands
from space_clip_ros.evaluation.metrics import pixel_metrics


def metres(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_the_bands_are_named_by_their_bounds() -> None:
    assert BANDS == (ALL, "1-5 m", "5-10 m", "10-20 m", "20-40 m", "40-80 m")


def test_errors_by_hand() -> None:
    # 2 m is 50 % too far; 10 m, which belongs to the band it begins, is once exact and once 20 % too near.
    bands = band_errors(metres(3, 10, 8, 70), metres(2, 10, 10, 70))
    assert list(bands) == [ALL, "1-5 m", "10-20 m", "40-80 m"]
    assert bands[ALL] == pytest.approx((1.0, 0.3 / 4, 0.7 / 4, 0.5))
    assert bands["1-5 m"] == pytest.approx((0.25, 0.5, 0.5, 0.0))
    # max(p / t, t / p) is 1.25 at 8 m, which is not below it.
    assert bands["10-20 m"] == pytest.approx((0.5, -0.1, 0.1, 0.5))
    assert bands["40-80 m"] == pytest.approx((0.25, 0.0, 0.0, 1.0))


def test_pixels_outside_the_bands_count_only_among_all() -> None:
    bands = band_errors(metres(1, 80), metres(0.5, 100))
    assert list(bands) == [ALL] and bands[ALL] == pytest.approx((1.0, (1.0 - 0.2) / 2, (1.0 + 0.2) / 2, 0.0))


def test_every_edge_belongs_to_the_band_beyond_it() -> None:
    edges = metres(*EDGES_M)
    bands = band_errors(edges, edges)
    assert [bands[name].share for name in BANDS[1:]] == pytest.approx([1 / 6] * 5)


def test_frames_weigh_the_same_and_bands_add_up_to_the_metrics() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for count in (7, 500):
        truth = rng.uniform(1.0, 79.0, count)
        frames.append((truth * rng.uniform(0.7, 1.4, count), truth))
    mean = mean_bands([band_errors(*frame) for frame in frames])
    abs_rel = np.mean([pixel_metrics(*frame)["abs_rel"] for frame in frames])
    assert mean[ALL].abs_rel == pytest.approx(abs_rel)
    parts = [errors for name, errors in mean.items() if name != ALL]
    assert sum(errors.share for errors in parts) == pytest.approx(1.0)
    assert sum(errors.share * errors.abs_rel for errors in parts) == pytest.approx(abs_rel)
    assert sum(errors.share * errors.bias for errors in parts) == pytest.approx(mean[ALL].bias)


def test_a_band_of_one_frame_keeps_its_errors_but_not_its_share() -> None:
    mean = mean_bands([band_errors(metres(3), metres(2)), band_errors(metres(30), metres(30))])
    assert mean["1-5 m"] == pytest.approx((0.5, 0.5, 0.5, 0.0))
    assert "5-10 m" not in mean
    assert mean_bands([]) == {}


def test_sums_are_by_place() -> None:
    sums = error_sums(metres(3, 9, 10), metres(2, 10, 10), np.array([0, 2, 2]), 3)
    np.testing.assert_allclose(sums, [[1, 0, 2], [0.5, 0, 0.1], [0.5, 0, -0.1], [0, 0, 2]])
