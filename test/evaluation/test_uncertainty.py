from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.evaluation.uncertainty import ause, fitted_factor, frame_uncertainty, mean_uncertainty


def laplace_frame(factor: float, pixels: int = 40_000, seed: int = 0):
    """A frame whose relative errors follow a Laplace distribution, and whose sigma is off by a factor."""
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.01, 0.05, pixels)
    truth = rng.uniform(5.0, 50.0, pixels)
    predicted = truth / (1.0 + rng.laplace(0.0, sigma / np.sqrt(2.0)))
    return frame_uncertainty(predicted, truth, sigma * factor)


def test_the_shares_of_a_laplace_distribution() -> None:
    uncertainty = mean_uncertainty([laplace_frame(1.0)])
    assert uncertainty.within_1_sigma == pytest.approx(1 - np.exp(-np.sqrt(2)), abs=0.01)
    assert uncertainty.within_2_sigma == pytest.approx(1 - np.exp(-np.sqrt(8)), abs=0.01)


def test_the_likelihood_is_best_where_sigma_is_right() -> None:
    right, small, large = (laplace_frame(factor).nll for factor in (1.0, 0.7, 1.4))
    assert right < small and right < large


def test_the_fitted_factor_undoes_a_wrong_one_and_meets_both_aims() -> None:
    right, wrong = laplace_frame(1.0), laplace_frame(0.25)
    assert fitted_factor([wrong]) == pytest.approx(4.0 * fitted_factor([right]), rel=0.03)
    calibrated = mean_uncertainty([laplace_frame(0.25 * fitted_factor([wrong]))])
    assert calibrated.within_1_sigma == pytest.approx(0.68, abs=0.05)
    assert calibrated.within_2_sigma == pytest.approx(0.95, abs=0.03)


def test_ause_by_hand() -> None:
    errors = np.array([0.1, 0.2, 0.3, 0.4])
    assert ause(errors, errors * 7.0) == 0.0
    # Removing the best first: of 50 steps 0-6 keep 4 pixels, 7-18 keep 3, 19-31 keep 2 and the rest keep 1.
    kept = np.maximum(np.round((1 - np.arange(50) / 50) * 4), 1)
    worst = {4: 0.25, 3: 0.3, 2: 0.35, 1: 0.4}
    best = {4: 0.25, 3: 0.2, 2: 0.15, 1: 0.1}
    assert ause(errors, -errors) == pytest.approx(np.mean([worst[count] - best[count] for count in kept]))


def test_uncertainty_without_information_is_between() -> None:
    rng = np.random.default_rng(0)
    errors = rng.exponential(0.1, 10_000)
    assert 0.0 < ause(errors, errors + rng.exponential(0.1, 10_000)) < ause(errors, rng.random(10_000))


def test_frames_weigh_the_same() -> None:
    good = frame_uncertainty(np.full(10, 11.0), np.full(10, 10.0), np.full(10, 0.2))
    bad = frame_uncertainty(np.full(1000, 15.0), np.full(1000, 10.0), np.full(1000, 0.1))
    uncertainty = mean_uncertainty([good, bad])
    assert (uncertainty.within_1_sigma, uncertainty.within_2_sigma) == (0.5, 0.5)


def test_no_error_and_no_uncertainty_are_numbers() -> None:
    uncertainty = frame_uncertainty(np.array([5.0, 6.0]), np.array([5.0, 5.0]), np.array([0.0, 0.0]))
    assert np.isfinite(uncertainty.nll) and uncertainty.counts.sum() == pytest.approx(1.0)
    assert mean_uncertainty([uncertainty]).within_1_sigma == 0.5
