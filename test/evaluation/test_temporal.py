"""Flicker, against changes worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.protocol import standard_protocol
from space_clip_ros.evaluation.temporal import TemporalAverage, follows, partners

HEIGHT, WIDTH = 12, 20
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def everywhere(metres: float) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), metres, np.float32)


def average(*frames: tuple[np.ndarray, np.ndarray], crop: str = "none") -> TemporalAverage:
    """Add frames of (prediction, truth), each following the one before."""
    result = TemporalAverage(standard_protocol(crop))
    for number, (prediction, truth) in enumerate(frames):
        result.add(number, RgbdFrame(IMAGE, truth), prediction, consecutive=True)
    return result


def test_depth_that_jumps_on_static_truth():
    report = average((everywhere(8.0), everywhere(10.0)), (everywhere(10.0), everywhere(10.0))).report()
    assert report.pairs == 1
    assert list(report.bands) == ["all", "10-20 m"]
    for band in report.bands.values():
        assert band.share == 1.0
        assert (band.flicker, band.prediction) == (pytest.approx(np.log(1.25)), pytest.approx(np.log(1.25)))
        assert band.truth == 0.0
    # All of it is shared by the whole image.
    assert report.whole == pytest.approx(np.log(1.25))


def test_a_constant_error_is_steady_and_a_change_that_is_true_too():
    steady = average((everywhere(5.0), everywhere(10.0)), (everywhere(5.2), everywhere(10.4))).report()
    assert steady.bands["all"].flicker == pytest.approx(0.0, abs=1e-6)
    assert steady.bands["all"].prediction == pytest.approx(np.log(1.04), abs=1e-6)
    assert steady.bands["all"].truth == pytest.approx(np.log(1.04), abs=1e-6)


def test_pixels_without_a_prediction_do_not_count():
    predicted = everywhere(10.0)
    predicted[3, 4] = np.nan
    report = average((everywhere(8.0), everywhere(10.0)), (predicted, everywhere(10.0))).report()
    assert report.bands["all"].flicker == pytest.approx(np.log(1.25))
    assert report.whole == pytest.approx(np.log(1.25))


def test_pixels_whose_truth_changes_do_not_count():
    truth = everywhere(10.0)
    moved = truth.copy()
    # 6 % nearer, and what was hidden behind it.
    moved[:, :5], moved[:, 15:] = 9.4, 30.0
    predicted = everywhere(10.0)
    predicted[:, :5] = 4.0
    report = average((everywhere(10.0), truth), (predicted, moved)).report()
    assert report.bands["all"].flicker == 0.0


def test_bands_are_those_of_the_earlier_frames_truth():
    truth = everywhere(3.0)
    truth[:, 10:] = 60.0
    now = everywhere(3.0)
    now[:, 10:] = 66.0
    report = average((truth, truth), (now, truth), (now, truth)).report()
    assert report.pairs == 2
    assert {name: band.share for name, band in report.bands.items()} == {"all": 1.0, "1-5 m": 0.5, "40-80 m": 0.5}
    assert report.bands["1-5 m"].flicker == 0.0
    # It changes in one of two pairs; the median of a pair, half of whose pixels change, is half of the change.
    assert report.bands["40-80 m"].flicker == pytest.approx(np.log(1.1) / 2)
    assert report.bands["all"].flicker == pytest.approx(np.log(1.1) / 4)
    assert report.whole == pytest.approx(np.log(1.1) / 4)


def test_lines_of_a_scanner_are_compared_with_the_next_scans_nearest():
    first, second = everywhere(np.nan), everywhere(np.nan)
    # A slope of 1 % a row, of which each scan sees one row. The prediction has the slope too, and is 10 % off.
    slope = 10.0 * 1.01 ** np.arange(HEIGHT, dtype=np.float32)[:, None] * np.ones(WIDTH, np.float32)
    first[4], second[6] = slope[4], slope[6]
    report = average((slope * 1.1, first), (slope * 1.1, second)).report()
    assert report.bands["all"].flicker == pytest.approx(0.0, abs=1e-6)
    assert report.bands["all"].truth == pytest.approx(2 * np.log(1.01), abs=1e-6)
    # Three rows away is another place.
    far = everywhere(np.nan)
    far[7] = slope[7]
    with pytest.raises(DataError, match="no two consecutive frames with static truth"):
        average((slope, first), (slope, far)).report()


def test_partners_are_the_nearest_pixels():
    before, now = everywhere(np.nan), everywhere(np.nan)
    before[2, 3] = before[9, 9] = before[0, 19] = 5.0
    now[2, 5] = now[3, 3] = now[9, 9] = 5.0
    here, there = partners(before, now)
    assert here.tolist() == [2 * WIDTH + 3, 9 * WIDTH + 9]
    assert there.tolist() == [3 * WIDTH + 3, 9 * WIDTH + 9]
    assert partners(before, everywhere(np.nan))[0].size == 0


def test_range_and_crop_hold_as_in_the_protocol():
    truth = everywhere(10.0)
    now = everywhere(10.0)
    # Above Garg's crop, which begins at 0.41 of the height, and beyond 80 m.
    now[:4] = 20.0
    truth[10, 10] = 90.0
    now[10, 10] = 1000.0
    report = average((everywhere(10.0), truth), (now, truth), crop="garg").report()
    assert report.bands["all"].flicker == 0.0


def test_a_smaller_prediction_is_resized():
    half = np.full((HEIGHT // 2, WIDTH // 2), 10.0, np.float32)
    assert average((half, everywhere(10.0)), (half * 1.1, everywhere(10.0))).report().whole == pytest.approx(
        np.log(1.1)
    )


def test_only_consecutive_frames_of_one_size_are_compared():
    frame = RgbdFrame(IMAGE, everywhere(10.0))
    small = RgbdFrame(IMAGE[:6], everywhere(10.0)[:6])
    temporal = TemporalAverage(standard_protocol("none"))
    temporal.add(0, frame, everywhere(10.0), consecutive=False)
    temporal.add(1, frame, everywhere(99.0), consecutive=False)
    temporal.add(3, frame, everywhere(10.0), consecutive=True)
    temporal.add(4, small, everywhere(10.0), consecutive=True)
    with pytest.raises(DataError, match="no two consecutive frames"):
        temporal.report()


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("a/0000000009.png", "a/0000000010.png", True),
        ("a/street_9.jpg", "a/street_10.jpg", True),
        ("a/000003.jpg", "a/000005.jpg", False),
        ("a/000003.jpg", "b/000004.jpg", False),
        ("a/hari_3.jpg", "a/000004.jpg", False),
        ("a/CAM_FRONT.jpg", "a/CAM_FRONT.jpg", False),
        ("a/4.png", "a/3.png", False),
    ],
)
def test_frames_follow_each_other_by_their_pictures_numbers(before: str, now: str, expected: bool):
    assert follows([Path(before)], [Path(now)]) is expected
