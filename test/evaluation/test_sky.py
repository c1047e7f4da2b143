from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.evaluation.sky import sky_shares


def test_shares_by_hand() -> None:
    truth = np.array([[255.0, 255.0, 255.0, 255.0], [np.nan, 10.0, 254.0, 0.0]], np.float32)
    prediction = np.array([[39.0, 40.0, 80.0, np.nan], [5.0, 5.0, 5.0, 5.0]], np.float32)
    assert sky_shares(prediction, truth, 80.0) == pytest.approx((0.5, 0.25, 0.5))


def test_no_sky_is_no_score() -> None:
    truth = np.array([[np.nan, 90.0]], np.float32)
    assert sky_shares(np.ones_like(truth), truth, 80.0) is None
