"""Scales measured on scenes whose truth is known, without a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from space_clip_ros.cli.scale_evaluation import lines, scale_spec
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.protocol import standard_protocol
from space_clip_ros.evaluation.scale_measurement import ScaleMeasurement, without_numbers

PROTOCOL = standard_protocol("none")


@pytest.fixture
def frame(scenes: Any) -> RgbdFrame:
    depth = scenes.street(*scenes.HOUSES, scenes.CAR, camera=scenes.SMALL)
    return RgbdFrame(np.zeros((*depth.shape, 3), np.uint8), depth, scenes.SMALL)


def measured(frame: RgbdFrame, spec: str, frames: int = 1, rate: float = 0.0, factor: float = 1.25) -> ScaleMeasurement:
    measurement = ScaleMeasurement(scale_spec(spec), PROTOCOL, ["folder"] * frames, rate, 0.2)
    for index in range(frames):
        measurement(index, frame.depth / np.float32(factor), frame)
    return measurement


@pytest.mark.parametrize(("spec", "least"), [("camera_height:1.65", 0.6), ("ranges:16", 0.95)])
def test_frames_alone_are_scaled_by_their_own_evidence(frame: RgbdFrame, spec: str, least: float) -> None:
    result = measured(frame, spec, frames=2).result()
    assert (result.frames, result.used, result.scale) == (2, 2, spec)
    assert result.unscaled == pytest.approx(0.2, abs=1e-3) and result.median == pytest.approx(0.0, abs=1e-3)
    assert result.share is not None and least < result.share <= 1.01
    text = "\n".join(lines(result))
    assert f"scale {spec}, each frame alone: used in 2 of 2 frames" in text and "of the way" in text


def test_a_drive_is_followed_by_one_filter_at_its_rate(frame: RgbdFrame) -> None:
    factors = measured(frame, "ranges:16", frames=20, rate=10.0).factors
    assert factors[0] == 1.0 and factors[1] == pytest.approx(1.2**0.1)
    assert factors[19] == pytest.approx(1.25, rel=0.01)


def test_another_folder_starts_anew(frame: RgbdFrame) -> None:
    measurement = ScaleMeasurement(scale_spec("ranges:16"), PROTOCOL, ["a"] * 9 + ["b"], 10.0, 0.2)
    for index in range(10):
        measurement(index, frame.depth / np.float32(1.25), frame)
    assert measurement.factors[8] > 1.1 and measurement.factors[9] == 1.0


def test_the_rows_that_are_evidence_are_not_compared(frame: RgbdFrame) -> None:
    measurement = ScaleMeasurement(scale_spec("ranges:16"), PROTOCOL, ["folder"], 0.0, 0.2)
    _, truth = measurement(0, frame.depth, frame)
    assert np.isnan(truth[8::16]).all()
    np.testing.assert_array_equal(np.delete(truth, np.s_[8::16], 0), np.delete(frame.depth, np.s_[8::16], 0))


def test_depth_without_evidence_stays_and_the_reason_is_counted(frame: RgbdFrame) -> None:
    flat = np.full_like(frame.depth, 20.0)
    measurement = ScaleMeasurement(scale_spec("camera_height:1.65"), PROTOCOL, ["folder"], 0.0, 0.2)
    depth, _ = measurement(0, flat, frame)
    np.testing.assert_array_equal(depth, flat)
    result = measurement.result()
    assert result.used == 0 and list(result.problems.values()) == [1]
    assert "not used in 1: camera height: no level plane in view" in "\n".join(lines(result))


def test_problems_that_differ_in_numbers_count_as_one_and_stay_sentences() -> None:
    problem = "camera height: asks for a factor of 3.77, too far from 1.00"
    assert without_numbers(problem) == "camera height: asks for a factor of …, too far from …"


def test_a_frame_without_a_camera_is_an_error(frame: RgbdFrame) -> None:
    measurement = ScaleMeasurement(scale_spec("ranges:16"), PROTOCOL, ["folder"], 0.0, 0.2)
    with pytest.raises(InputError, match="camera of frame 0 is not known"):
        measurement(0, frame.depth, frame._replace(camera=None))
