from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.boundaries import THRESHOLDS_PERCENT, BoundaryScores, boundary_scores


def step(near: float, far: float, at: int = 4, rows: int = 3, columns: int = 10) -> np.ndarray:
    """A step from ``near`` to ``far`` between columns ``at - 1`` and ``at``."""
    depth = np.full((rows, columns), near, np.float32)
    depth[:, at:] = far
    return depth


def scores(prediction: np.ndarray, truth: np.ndarray) -> BoundaryScores:
    result = boundary_scores(prediction, truth, 0.001, 80.0)
    assert result is not None
    return result


def test_thresholds_are_depth_pro_s() -> None:
    assert len(THRESHOLDS_PERCENT) == 10 and THRESHOLDS_PERCENT[0] == 5 and THRESHOLDS_PERCENT[-1] == 25
    assert np.diff(THRESHOLDS_PERCENT) == pytest.approx(20 / 9)


def test_the_truth_itself_is_perfect() -> None:
    assert scores(step(5, 10), step(5, 10)) == pytest.approx((1, 1, 1))


def test_one_pixel_off_is_missed() -> None:
    assert scores(step(5, 10, at=5), step(5, 10, at=4)) == (0, 0, 0)


def test_the_side_in_front_matters() -> None:
    assert scores(step(10, 5), step(5, 10)) == (0, 0, 0)


def test_a_flat_prediction_finds_nothing() -> None:
    assert scores(step(7, 7), step(5, 10)) == (0, 0, 0)


def test_false_contours_cost_precision_only() -> None:
    prediction = step(5, 10)
    prediction[:, 7:] = 20.0
    precision, recall, f1 = scores(prediction, step(5, 10))
    assert (precision, recall) == pytest.approx((0.5, 1.0))
    assert f1 == pytest.approx(2 / 3)


def test_missed_contours_cost_recall_only() -> None:
    truth = step(5, 10)
    truth[:, 7:] = 20.0
    assert scores(step(5, 10), truth) == pytest.approx((1.0, 0.5, 2 / 3))


def test_rows_and_columns_are_pooled() -> None:
    truth = step(5, 10, rows=10).copy()
    prediction = truth.T.copy()
    # The upper right and lower left quarters differ. Truth has 10 pairs, each prediction 10, and none in common.
    assert scores(prediction, truth) == (0, 0, 0)
    both = np.maximum(truth, prediction)
    # Of its 4 + 4 pairs around the nearer corner, those of the upper rows are true: 4 of 10 and 4 of 8.
    assert scores(both, truth)[:2] == pytest.approx((4 / 8, 4 / 10))


def test_a_small_step_passes_the_lower_thresholds_only() -> None:
    # 10 % passes 5, 7.2 and 9.4 percent.
    weights = 1 + np.asarray(THRESHOLDS_PERCENT) / 100
    expected = weights[:3].sum() / weights.sum()
    precision, recall, f1 = scores(step(10, 11), step(10, 20))
    assert (precision, recall, f1) == pytest.approx((expected,) * 3)


def test_blur_lowers_the_score() -> None:
    truth = step(5, 10)
    blurred = truth.copy()
    blurred[:, 2:6] = [5.74, 6.6, 7.58, 8.71]  # five equal steps of 14.9 percent
    precision, recall, f1 = scores(blurred, truth)
    weights = 1 + np.asarray(THRESHOLDS_PERCENT) / 100
    passed = weights[:5].sum() / weights.sum()  # 5 to 13.9 percent
    assert recall == pytest.approx(passed)
    assert precision == pytest.approx(passed / 5)
    assert f1 == pytest.approx(passed * 2 / 6)
    assert f1 < scores(truth, truth).f1


@pytest.mark.parametrize("factor", [0.5, 1.7, 3.0])
def test_a_factor_changes_nothing(factor: float) -> None:
    rng = np.random.default_rng(0)
    truth = np.exp(rng.uniform(0.5, 3.0, (20, 30))).astype(np.float32)
    prediction = truth * np.exp(rng.normal(0, 0.2, truth.shape)).astype(np.float32)
    same = scores(prediction, truth)
    assert 0.3 < same.f1 < 0.99
    assert scores(np.float32(factor) * prediction, truth) == pytest.approx(same, abs=1e-3)


def test_pairs_of_unknown_truth_are_left_out() -> None:
    truth, prediction = step(5, 10), step(5, 10)
    prediction[1, 7] = 40.0
    assert scores(prediction, truth).precision < 0.5
    truth[1, 7] = np.nan
    assert scores(prediction, truth) == pytest.approx((1, 1, 1))
    truth[1, 7] = 0.0
    assert scores(prediction, truth) == pytest.approx((1, 1, 1))


def test_a_prediction_that_is_nan_has_no_contours() -> None:
    prediction = step(5, 10)
    prediction[0] = np.nan
    assert scores(prediction, step(5, 10)) == pytest.approx((1, 2 / 3, 0.8))


def test_depth_beyond_the_range_counts_as_its_end() -> None:
    # A roof at 40 m before the sky: a prediction cannot say more than the largest depth.
    assert scores(step(40, 80), step(40, 255)) == pytest.approx((1, 1, 1))
    assert boundary_scores(step(90, 100), step(100, 255), 0.001, 80.0) is None


def test_sparse_truth_is_not_scored() -> None:
    truth = step(5, 10, rows=4)
    truth[:2] = np.nan
    assert boundary_scores(step(5, 10, rows=4), truth, 0.001, 80.0) is not None
    truth[2, 0] = np.nan
    assert boundary_scores(step(5, 10, rows=4), truth, 0.001, 80.0) is None


def test_no_contour_anywhere_is_no_score_but_a_false_one_is_0() -> None:
    assert boundary_scores(step(5, 5), step(7, 7), 0.001, 80.0) is None
    assert scores(step(5, 10), step(7, 7)) == (0, 0, 0)


def test_agrees_with_a_loop_over_pairs() -> None:
    rng = np.random.default_rng(1)
    truth, prediction = np.exp(rng.uniform(0, 1.0, (2, 9, 11))).astype(np.float32)
    f1, weights = [], []
    for percent in THRESHOLDS_PERCENT:
        ratio = 1 + percent / 100
        result = true = both = 0
        for row in range(9):
            for column in range(11):
                for to_row, to_column in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                    if 0 <= to_row < 9 and 0 <= to_column < 11:
                        p = prediction[to_row, to_column] / prediction[row, column] > ratio
                        t = truth[to_row, to_column] / truth[row, column] > ratio
                        result, true, both = result + p, true + t, both + (p and t)
        precision, recall = both / result, both / true
        f1.append(2 * precision * recall / (precision + recall))
        weights.append(ratio)
    assert scores(prediction, truth).f1 == pytest.approx(np.average(f1, weights=weights))


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="one shape"):
        boundary_scores(step(5, 10), step(5, 10, rows=4), 0.001, 80.0)
