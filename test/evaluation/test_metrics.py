from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros import config
from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.metrics import (
    CROPS,
    METRICS,
    MetricAverage,
    comparable,
    compute_metrics,
    crop_window,
)

NAN = math.nan


def metres(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


@pytest.mark.parametrize("crop", ("none", "garg", "eigen"))
@pytest.mark.parametrize("scaling", ["metric", "median"])
def test_equals_the_reference(reference_dir: Path, crop: str, scaling: str) -> None:
    data = np.load(reference_dir / "losses_metrics.npz")
    metrics = compute_metrics(data["metric_pred"], data["metric_gt"], 0.001, 80.0, crop, scaling == "median")
    assert tuple(metrics) == METRICS
    for name, value in metrics.items():
        assert value == pytest.approx(float(data[f"metric_{crop}_{scaling}_{name}"]), abs=1e-5), name


def test_agrees_with_numbers_worked_out_by_hand() -> None:
    metrics = compute_metrics(metres(2, 6), metres(4, 5), 0.1, 80.0)
    log_errors = math.log(0.5), math.log(1.2)
    expected = {
        "abs_rel": (0.5 + 0.2) / 2,
        "sq_rel": (1.0 + 0.2) / 2,
        "rmse": math.sqrt(2.5),
        "rmse_log": math.sqrt((log_errors[0] ** 2 + log_errors[1] ** 2) / 2),
        "log_10": (math.log10(2) + math.log10(1.2)) / 2,
        "silog": 100 * (log_errors[1] - log_errors[0]) / 2,
        "a1": 0.5,
        "a2": 0.5,
        "a3": 0.5,
    }
    assert metrics == pytest.approx(expected)


def test_a_perfect_prediction_has_no_error() -> None:
    metrics = compute_metrics(metres(1, 20), metres(1, 20), 0.1, 80.0)
    assert metrics == {**dict.fromkeys(METRICS, 0.0), "a1": 1.0, "a2": 1.0, "a3": 1.0}


def test_truth_at_or_outside_the_limits_is_left_out() -> None:
    truth = metres(NAN, 0, -1, 0.5, 0.6, 79, 80, math.inf)
    np.testing.assert_array_equal(comparable(np.ones((1, 8)), truth, 0.5, 80.0), [[0, 0, 0, 0, 1, 1, 0, 0]])


def test_a_prediction_is_clipped_to_the_range_and_left_out_only_where_nan() -> None:
    truth = metres(40, 40, 40, 40)
    assert compute_metrics(metres(math.inf, 900, 40, NAN), truth, 0.1, 80.0)["rmse"] == pytest.approx(
        math.sqrt((40**2 + 40**2) / 3)
    )
    assert compute_metrics(metres(0, -5, 0.1, 0.1), truth, 0.1, 80.0)["abs_rel"] == pytest.approx(39.9 / 40)


def test_median_scaling_takes_a_constant_factor_away() -> None:
    truth = metres(1, 5, 9, 30)
    assert compute_metrics(truth * 0.3, truth, 0.001, 80.0, median_scaling=True)["rmse"] == pytest.approx(0, abs=1e-5)


def test_crops_are_the_published_shares_cut_to_whole_pixels() -> None:
    # 375 * 0.40810811 = 153.04, 375 * 0.99189189 = 371.96; 1242 * 0.03594771 = 44.65, 1242 * 0.96405229 = 1197.35.
    assert crop_window("garg", 375, 1242) == (slice(153, 371), slice(44, 1197))
    assert crop_window("eigen", 352, 704) == (slice(117, 321), slice(25, 678))
    assert crop_window("nyu", 480, 640) == (slice(45, 471), slice(41, 601))
    assert crop_window("none", 375, 1242) == (slice(0, 375), slice(0, 1242))


def test_the_settings_offer_these_crops() -> None:
    assert tuple(CROPS) == config.CROPS


def test_only_pixels_inside_the_crop_count() -> None:
    rows, columns = crop_window("garg", 40, 60)
    truth, prediction = np.full((40, 60), 5.0), np.full((40, 60), 50.0)
    prediction[rows, columns] = 5.0
    assert compute_metrics(prediction, truth, 0.1, 80.0, "garg")["rmse"] == 0.0


@pytest.mark.parametrize(
    ("prediction", "truth", "options", "message"),
    [
        (metres(1, 2), metres(1), {}, r"one shape, got \(1, 2\) and \(1, 1\)"),
        (np.ones((1, 1, 1)), np.ones((1, 1, 1)), {}, "shape"),
        (np.ones((1, 2), np.uint16), metres(1, 2), {}, "uint16"),
        (metres(1), metres(1), {"crop": "kitti"}, "none, garg, eigen"),
        (metres(1), metres(NAN), {}, "no pixel can be compared"),
        (metres(NAN), metres(1), {}, "no pixel can be compared"),
        (metres(1), metres(1), {"min_depth": 80.0}, "range"),
        (metres(1), metres(1), {"min_depth": 0.0}, "range"),
        (metres(0), metres(1), {"median_scaling": True}, "median"),
    ],
)
def test_refuses_what_cannot_be_compared(
    prediction: np.ndarray, truth: np.ndarray, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compute_metrics(prediction, truth, **{"min_depth": 0.1, "max_depth": 80.0, **options})


def test_images_weigh_the_same_however_many_pixels_they_have() -> None:
    average = MetricAverage(0.1, 80.0)
    assert average.mean() == {}
    first = average.add(metres(2, NAN, NAN), metres(1, NAN, NAN))
    assert first is not None and first["abs_rel"] == 1.0
    average.add(metres(4, 4, 4), metres(4, 4, 4))
    assert average.mean()["abs_rel"] == 0.5
    assert (average.frames, average.pixels, average.skipped, average.unanswered) == (2, 4, 0, 0)


def test_images_without_a_comparable_pixel_are_skipped_and_counted() -> None:
    average = MetricAverage(0.1, 80.0)
    assert average.add(metres(1, 1), metres(NAN, 90)) is None
    assert average.add(metres(NAN, NAN), metres(5, 5)) is None
    average.add(metres(5, NAN), metres(5, 5))
    assert (average.frames, average.skipped, average.pixels, average.unanswered) == (1, 2, 1, 3)
    average.reset()
    assert (average.frames, average.skipped, average.mean()) == (0, 0, {})


def test_an_average_refuses_its_options_at_once_and_shapes_when_they_come() -> None:
    with pytest.raises(InputError, match="crop"):
        MetricAverage(0.1, 80.0, "centre")
    with pytest.raises(InputError, match="range"):
        MetricAverage(80.0, 0.1)
    with pytest.raises(InputError, match="one shape"):
        MetricAverage(0.1, 80.0).add(metres(1, 2), metres(1))
