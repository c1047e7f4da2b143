from __future__ import annotations

import numpy as np
import pytest

from contrast.contrast import beside, contrast
from space_clip_ros.errors import InputError

MASK = np.zeros((6, 20), bool)
MASK[1:5, 8:11] = True


def scene(at: float, behind: float) -> np.ndarray:
    return np.where(MASK, at, behind).astype(np.float32)


def test_beside_is_a_band_in_the_object_s_rows() -> None:
    band = beside(MASK, scene(10, 20), gap=1, reach=4)
    expected = np.zeros_like(MASK)
    expected[1:5, [4, 5, 6, 12, 13, 14]] = True
    np.testing.assert_array_equal(band, expected)


def test_beside_leaves_out_what_is_not_behind_and_what_is_unknown() -> None:
    depth = scene(10, 20)
    depth[2] = 12.0
    depth[:, 13], depth[:, 5] = 11.9, np.nan
    depth[MASK] = 10.0
    band = beside(MASK, depth, gap=1, reach=4)
    assert not band[:, [5, 13]].any()
    assert band[2, 4] and band[1, 12]


def test_the_right_depth_has_the_whole_contrast() -> None:
    truth = scene(10, 20)
    behind = beside(MASK, truth, 1, 4)
    measured = contrast(truth, truth, MASK, behind, 80.0)
    assert measured == (10, 20, 10, 20) and measured.share == pytest.approx(1)
    assert contrast(1.5 * truth, truth, MASK, behind, 80.0).share == pytest.approx(1)


def test_shares_by_hand() -> None:
    truth = scene(10, 40)
    behind = beside(MASK, truth, 1, 4)
    assert contrast(scene(20, 40), truth, MASK, behind, 80.0).share == pytest.approx(0.5)
    assert contrast(scene(30, 30), truth, MASK, behind, 80.0).share == 0
    assert contrast(scene(40, 20), truth, MASK, behind, 80.0).share == pytest.approx(-0.5)


def test_the_sky_is_as_far_as_depth_goes() -> None:
    truth = scene(10, 255)
    measured = contrast(scene(10, 80), truth, MASK, beside(MASK, truth, 1, 4), 80.0)
    assert measured.behind_m == 80 and measured.share == pytest.approx(1)


def test_what_cannot_be_compared_is_an_error() -> None:
    truth = scene(10, 20)
    behind = beside(MASK, truth, 1, 4)
    with pytest.raises(InputError, match="no pixels"):
        beside(np.zeros_like(MASK), truth, 1, 4)
    with pytest.raises(InputError, match="no pixels of known depth"):
        beside(MASK, scene(np.nan, 20), 1, 4)
    with pytest.raises(InputError, match="must have pixels"):
        contrast(truth, truth, MASK, np.zeros_like(MASK), 80.0)
    for wrong in (scene(np.nan, 20), scene(0, 20)):
        with pytest.raises(InputError, match="above 0"):
            contrast(wrong, truth, MASK, behind, 80.0)
    with pytest.raises(InputError, match="grow from the object"):
        contrast(truth, scene(90, 200), MASK, behind, 80.0)
