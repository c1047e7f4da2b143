from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from space_clip_ros.data.frames import RgbdFrame, SkippedFrameError
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.evaluator import (
    Estimate,
    FrameScore,
    evaluate,
    flip_averaged,
    mean_metrics,
    one_by_one,
    prepared_frames,
    score_frame,
    worst_frames,
)
from space_clip_ros.evaluation.protocol import standard_protocol
from space_clip_ros.evaluation.uncertainty import mean_uncertainty

PROTOCOL = standard_protocol("none")


class NumberedFrames:
    """Frames whose truth is 2 m, whose image holds their number; reading them is counted."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.read: list[int] = []
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> RgbdFrame:
        with self.lock:
            self.read.append(index)
        if index == 99:
            raise DataError("frame 99 is broken")
        depth = np.full((4, 6), 2.0, np.float32)
        depth[0] = np.nan
        return RgbdFrame(np.full((4, 6, 3), index, np.uint8), depth)

    def label(self, index: int) -> str:
        return f"frame {index}"


def predict(image: np.ndarray) -> np.ndarray:
    """Frame n is off by n tenths."""
    return np.full(image.shape[:2], 2.0 * (1 + image[0, 0, 0] / 10), np.float32)


def test_every_frame_is_scored_in_order():
    seen: list[FrameScore] = []
    scores = evaluate(one_by_one(predict), NumberedFrames(5), PROTOCOL, seen.append)
    assert scores == seen
    assert [score.label for score in scores] == [f"frame {number}" for number in range(5)]
    assert [score.metrics["abs_rel"] for score in scores] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-6)
    assert mean_metrics(scores)["abs_rel"] == pytest.approx(0.2)


class FramesOfTwoSizes(NumberedFrames):
    """Frames 0 to 4 are 4 pixels high, later ones 8."""

    def __getitem__(self, index: int) -> RgbdFrame:
        image, depth, *_ = super().__getitem__(index)
        height = 1 if index < 5 else 2
        return RgbdFrame(np.repeat(image, height, axis=0), np.repeat(depth, height, axis=0))


def test_neighbours_of_one_size_are_predicted_together():
    runs: list[int] = []

    def together(images: Sequence[np.ndarray]) -> list[Estimate]:
        assert len({image.shape for image in images}) == 1
        runs.append(len(images))
        return [Estimate(predict(image)) for image in images]

    scores = evaluate(together, FramesOfTwoSizes(8), PROTOCOL, batch=2)
    assert runs == [2, 2, 1, 2, 1]
    assert [score.number for score in scores] == list(range(8))
    assert scores == evaluate(one_by_one(predict), FramesOfTwoSizes(8), PROTOCOL)


def test_the_worst_come_first_and_frames_without_truth_not_at_all():
    scores = [*evaluate(one_by_one(predict), NumberedFrames(4), PROTOCOL), FrameScore(9, "empty", None)]
    assert [score.number for score in worst_frames(scores, 2)] == [3, 2]
    assert mean_metrics(scores)["abs_rel"] == pytest.approx(0.15)
    assert mean_metrics([FrameScore(9, "empty", None)]) == {}


def test_frames_are_read_ahead_but_not_all_at_once():
    frames = NumberedFrames(90)
    reading = prepared_frames(frames, range(90), PROTOCOL)
    assert next(reading)[0] == 0
    assert len(frames.read) <= 25
    assert [index for index, _ in reading] == list(range(1, 90))


def test_a_broken_frame_stops_it():
    with pytest.raises(DataError, match="frame 99 is broken"):
        list(prepared_frames(NumberedFrames(100), [1, 99, 2], PROTOCOL))


class SkippingFrames(NumberedFrames):
    """Frames; the first few cannot be read and are skipped."""

    def __getitem__(self, index: int) -> RgbdFrame:
        if index < 2:
            raise SkippedFrameError(f"frame {index}", "is broken")
        return super().__getitem__(index)


def test_skipped_frames_are_left_out():
    scores = evaluate(one_by_one(predict), SkippingFrames(5), PROTOCOL, batch=2)
    assert [(score.number, score.label) for score in scores] == [(number, f"frame {number}") for number in (2, 3, 4)]
    with pytest.raises(DataError, match="none of 2 frames can be read; check the data with 'space_clip data check"):
        evaluate(one_by_one(predict), SkippingFrames(2), PROTOCOL)


def test_flip_averaging_by_hand():
    image = np.zeros((2, 3, 3), np.uint8)
    image[:, 0] = 4

    def first_channel(picture: np.ndarray) -> np.ndarray:
        # Says more on the left, so that mirroring matters.
        return (picture[..., 0] + np.array([3.0, 2.0, 1.0])).astype(np.float32)

    np.testing.assert_array_equal(flip_averaged(first_channel)(image), [[6, 2, 2]] * 2)


def test_depth_is_corrected_before_it_is_compared_and_shown():
    shown: list[tuple[int, float]] = []

    def correct(frame: RgbdFrame, estimate: Estimate) -> Estimate:
        return Estimate(estimate.depth * np.float32(2.0 / predict(frame.image)[0, 0]))

    scores = evaluate(
        one_by_one(predict),
        NumberedFrames(3),
        PROTOCOL,
        correct=correct,
        on_depth=lambda index, frame, depth: shown.append((index, float(depth[0, 0]))),
    )
    assert [score.metrics["abs_rel"] for score in scores] == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert shown == [(index, pytest.approx(2.0)) for index in range(3)]


def test_uncertainty_is_scored_on_the_pixels_that_are_compared_and_scales_with_depth():
    truth = np.full((4, 6), 4.0, np.float32)
    truth[0] = np.nan
    depth = np.full((4, 6), 5.0, np.float32)
    sigma = np.where(np.arange(6) < 3, 0.6, 1.2).astype(np.float32) * np.ones((4, 1), np.float32)
    score = score_frame(0, "half", Estimate(depth, sigma), truth, PROTOCOL)
    summary = mean_uncertainty([score.uncertainty])
    assert summary.within_1_sigma == pytest.approx(0.5) and summary.within_2_sigma == pytest.approx(1.0)
    # Half the depth with half the uncertainty, scaled to the truth's median, is the same depth with the same one.
    scaled = dataclasses.replace(PROTOCOL, median_scaling=True)
    relative = scaled.compared_uncertainty(depth / 2, sigma / 2, truth)
    np.testing.assert_allclose(relative, PROTOCOL.compared_uncertainty(depth, sigma, truth))
    assert score_frame(0, "none", Estimate(depth), truth, PROTOCOL).uncertainty is None


def test_an_estimate_is_scaled_with_its_uncertainty() -> None:
    depth = np.full((2, 3), 4.0, np.float32)
    scaled = Estimate(depth, depth / 8, np.zeros((2, 3), np.uint8)).scaled(1.5)
    assert scaled.depth.dtype == np.float32 and (scaled.depth == 6.0).all() and (scaled.uncertainty == 0.75).all()
    assert scaled.labels is not None and Estimate(depth).scaled(1.5).uncertainty is None
