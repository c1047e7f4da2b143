from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.evaluator import Estimate, evaluate, one_by_one, score_frame, worst_frames
from space_clip_ros.evaluation.protocol import standard_protocol
from space_clip_ros.evaluation.report import EvaluationReport, write_csv, write_json, write_worst


class TwoFrames:
    """One frame with truth, one without."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> RgbdFrame:
        return RgbdFrame(np.full((8, 12, 3), 90, np.uint8), np.full((8, 12), 4.0 if index == 0 else np.nan, np.float32))

    def label(self, index: int) -> str:
        return f"frame {index}"


def predict(image: np.ndarray) -> np.ndarray:
    return np.full(image.shape[:2], 5.0, np.float32)


@pytest.fixture()
def scores():
    return evaluate(one_by_one(predict), TwoFrames(), standard_protocol("none"))


def test_json_and_csv_hold_the_metrics(scores, tmp_path):
    report = EvaluationReport.from_scores(
        scores, "tiny", "onnxruntime", "standard", standard_protocol("none"), flip=True
    )
    assert (report.frames, report.skipped) == (1, 1)
    write_json(tmp_path / "deep" / "report.json", report)
    read = json.loads((tmp_path / "deep" / "report.json").read_text())
    assert read["metrics"]["abs_rel"] == pytest.approx(0.25)
    assert read["settings"]["crop"] == "none" and read["flip"] is True and read["model"] == "tiny"
    write_csv(tmp_path / "frames.csv", scores)
    with (tmp_path / "frames.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["frame"] == "frame 0" and float(first["abs_rel"]) == pytest.approx(0.25)
    assert second["abs_rel"] == ""


def test_json_holds_errors_by_distance_and_by_group(scores, tmp_path):
    protocol = standard_protocol("none")
    report = EvaluationReport.from_scores(
        [*scores, *scores[:1]], "tiny", "torch", "standard", protocol, False, ["town", "sea", "town"]
    )
    write_json(tmp_path / "report.json", report)
    read = json.loads((tmp_path / "report.json").read_text())
    assert list(read["bands"]) == ["all", "1-5 m"] and read["bands"]["all"] == read["bands"]["1-5 m"]
    assert read["bands"]["1-5 m"] == pytest.approx({"share": 1.0, "bias": 0.25, "abs_rel": 0.25, "a1": 0.0})
    assert list(read["groups"]) == ["town", "sea"]
    town = read["groups"]["town"]
    assert (town["frames"], town["skipped"], town["bands"]) == (2, 0, read["bands"])
    assert town["metrics"]["abs_rel"] == pytest.approx(0.25)
    assert read["groups"]["sea"] == {"frames": 0, "skipped": 1, "metrics": {}, "bands": {}, "edges": {}}
    assert report.groups["sea"].overall is None and report.groups["town"].overall == report.bands["all"]


class Roof(TwoFrames):
    """A roof at 20 m before the sky, then flat ground with sparse truth."""

    def __getitem__(self, index: int) -> RgbdFrame:
        depth = np.full((8, 12), np.nan, np.float32)
        if index:
            depth[5] = 4.0
        else:
            depth[:4], depth[4:] = 255.0, 20.0
        return RgbdFrame(np.full((8, 12, 3), 90, np.uint8), depth)


def predict_half_a_roof(image: np.ndarray) -> np.ndarray:
    """The roof is there in the left half only; the sky is at 80 m above it and at 30 m in the right half."""
    depth = np.full(image.shape[:2], 30.0, np.float32)
    depth[:4, :6], depth[4:, :6] = 80.0, 20.0
    return depth


def test_edges_are_averaged_over_the_frames_that_have_them(tmp_path):
    protocol = standard_protocol("garg")  # the crop has no part in boundaries and sky
    scores = evaluate(one_by_one(predict_half_a_roof), Roof(), protocol, edges=True)
    assert scores[1].metrics is not None and scores[1].boundaries is None and scores[1].sky is None
    report = EvaluationReport.from_scores(scores, "tiny", "torch", "standard", protocol, False, ["roof", "ground"])
    write_json(tmp_path / "report.json", report)
    read = json.loads((tmp_path / "report.json").read_text())
    boundaries, sky = read["edges"]["boundaries"], read["edges"]["sky"]
    # 12 true pairs, 6 of them found; 4 false pairs above and 4 below where the halves meet.
    assert boundaries == pytest.approx({"frames": 1, "precision": 6 / 14, "recall": 0.5, "f1": 12 / 26})
    assert sky == pytest.approx({"frames": 1, "share": 0.5, "near": 0.5, "in_range": 0.5})
    assert read["groups"]["roof"]["edges"] == read["edges"] and read["groups"]["ground"]["edges"] == {}


def test_the_sky_has_no_part_in_the_metrics():
    protocol = standard_protocol("none")
    (score, _), (plain, _) = (evaluate(one_by_one(predict), Roof(), protocol, edges=edges) for edges in (True, False))
    assert score.metrics == plain.metrics and plain.boundaries is None and plain.sky is None
    assert score.metrics["abs_rel"] == pytest.approx(0.75)  # of the roof alone: 5 m instead of 20
    assert score.bands is not None and list(score.bands) == ["all", "20-40 m"]


def test_the_worst_frames_are_drawn(scores, tmp_path):
    paths = list(
        write_worst(tmp_path / "worst", worst_frames(scores, 5), predict, TwoFrames(), standard_protocol("none"))
    )
    assert [path.name for path in paths] == ["worst_01_abs_rel_0.250.png"]
    assert cv2.imread(str(paths[0])).shape == (32, 12, 3)


def test_no_comparable_frame_is_an_error(scores):
    with pytest.raises(
        DataError, match=r"none of 1 frames has depth that counts under the standard .*; check the crop"
    ):
        EvaluationReport.from_scores(scores[1:], "tiny", "torch", "standard", standard_protocol("none"), flip=False)


def test_a_file_that_cannot_be_written(scores, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_csv(tmp_path / "file" / "frames.csv", scores)


def test_the_picture_shows_depth_scaled_to_the_median_as_it_is_compared(tmp_path):
    protocol = standard_protocol("none", median_scaling=True)

    def tiny(image: np.ndarray) -> np.ndarray:
        return np.full(image.shape[:2], 0.04, np.float32)

    worst = worst_frames(evaluate(one_by_one(tiny), TwoFrames(), protocol), 1)
    (path,) = write_worst(tmp_path, worst, tiny, TwoFrames(), protocol)
    _, prediction, truth, error = np.split(cv2.imread(str(path)), 4)
    np.testing.assert_array_equal(prediction, truth)
    assert prediction.any() and not error.any()


def test_pixels_without_a_prediction_are_counted_and_not_blamed_on_the_truth():
    """Half of frame 0 is NaN; frame 1 has no truth, and frame 2 no prediction."""
    protocol, truth = standard_protocol("none"), np.full((2, 4), 4.0, np.float32)
    half, empty = truth.copy(), np.full_like(truth, np.nan)
    half[0] = np.nan
    scores = [
        score_frame(index, str(index), Estimate(prediction), known, protocol)
        for index, (prediction, known) in enumerate(((half, truth), (truth, empty), (empty, truth)))
    ]
    assert [score.coverage for score in scores] == [0.5, None, 0.0]
    report = EvaluationReport.from_scores(scores, "tiny", "torch", "standard", protocol, False)
    assert (report.frames, report.skipped, report.unpredicted, report.coverage) == (1, 2, 1, 0.25)
    with pytest.raises(DataError, match=r"tiny: predicts no depth \(NaN\) .* in 1 of 2 frames"):
        EvaluationReport.from_scores(scores[1:], "tiny", "torch", "standard", protocol, False)
