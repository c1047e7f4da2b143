from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.evaluator import (
    FrameScore,
    evaluate,
    flip_averaged,
    mean_metrics,
    one_by_one,
    prepared_frames,
    worst_frames,
)
from space_clip_ros.evaluation.protocol import standard_protocol

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
        image, depth, _ = super().__getitem__(index)
        height = 1 if index < 5 else 2
        return RgbdFrame(np.repeat(image, height, axis=0), np.repeat(depth, height, axis=0))


def test_neighbours_of_one_size_are_predicted_together():
    runs: list[int] = []

    def together(images: Sequence[np.ndarray]) -> list[np.ndarray]:
        assert len({image.shape for image in images}) == 1
        runs.append(len(images))
        return [predict(image) for image in images]

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


def test_flip_averaging_by_hand():
    image = np.zeros((2, 3, 3), np.uint8)
    image[:, 0] = 4

    def first_channel(picture: np.ndarray) -> np.ndarray:
        # Says more on the left, so that mirroring matters.
        return (picture[..., 0] + np.array([3.0, 2.0, 1.0])).astype(np.float32)

    np.testing.assert_array_equal(flip_averaged(first_channel)(image), [[6, 2, 2]] * 2)


def test_depth_is_corrected_before_it_is_compared_and_shown():
    shown: list[tuple[int, float]] = []

    def correct(frame: RgbdFrame, depth: np.ndarray) -> np.ndarray:
        return depth * np.float32(2.0 / predict(frame.image)[0, 0])

    scores = evaluate(
        one_by_one(predict),
        NumberedFrames(3),
        PROTOCOL,
        correct=correct,
        on_depth=lambda index, frame, depth: shown.append((index, float(depth[0, 0]))),
    )
    assert [score.metrics["abs_rel"] for score in scores] == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert shown == [(index, pytest.approx(2.0)) for index in range(3)]
