from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.reporting.errors_by_place import COLUMNS, EDGES_M, ROWS, ErrorsByPlace


def test_distances_and_regions_by_hand() -> None:
    truth = np.full((8, 16), np.nan, np.float32)
    prediction = np.full((8, 16), 50.0, np.float32)
    # One pixel at 2 m that is 50 % too far, top left; two at 10 m, exact and 10 % too near, bottom right.
    truth[0, 0], prediction[0, 0] = 2.0, 3.0
    truth[7, 15], prediction[7, 15] = 10.0, 10.0
    truth[7, 14], prediction[7, 14] = 10.0, 9.0
    errors = ErrorsByPlace(0.001, 80.0, "none")
    errors.add(prediction, truth)
    near, ten = errors.by_distance()[0], errors.by_distance()[2]
    assert near == pytest.approx((1, 0.5, 0.5, 0.0))
    assert ten == pytest.approx((2, 0.05, -0.05, 1.0))
    others = [entry for number, entry in enumerate(errors.by_distance()) if number not in (0, 2)]
    assert all(entry.pixels == 0 and np.isnan(entry.abs_rel) for entry in others)
    regions = errors.by_region()
    assert regions[0] == pytest.approx((1, 0.5, 0.5, 0.0))
    assert regions[-1] == pytest.approx((2, 0.05, -0.05, 1.0))
    assert sum(region.pixels for region in regions) == 3
    assert (len(regions), len(errors.by_distance())) == (ROWS * COLUMNS, len(EDGES_M) - 1)


def test_frames_add_up_by_pixel_and_far_truth_counts_with_the_last() -> None:
    errors = ErrorsByPlace(0.001, 200.0, "none")
    for factor in (1.0, 1.2, 1.4):
        errors.add(np.full((4, 8), 100 * factor, np.float32), np.full((4, 8), 100.0, np.float32))
    assert errors.by_distance()[-1] == pytest.approx((96, 0.2, 0.2, 2 / 3), rel=1e-5)


def test_the_crop_holds_for_distances_only() -> None:
    errors = ErrorsByPlace(0.001, 80.0, "garg")
    errors.add(np.ones((100, 100), np.float32), np.ones((100, 100), np.float32))
    assert sum(region.pixels for region in errors.by_region()) == 10_000
    assert errors.by_distance()[0].pixels == (99 - 40) * (96 - 3)


def test_sizes_must_agree() -> None:
    with pytest.raises(InputError, match="one shape"):
        ErrorsByPlace(0.001, 80.0, "none").add(np.ones((2, 2), np.float32), np.ones((2, 3), np.float32))
