"""Boxes against the truth, of scenes whose depth and classes are drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.config import SemanticConfig
from space_clip_ros.evaluation.object_errors import BoxErrors, LabelledPicture, PlacedClass
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.perception.semantics import LanguageFeatures

NAMES = ("road", "car")
CAMERA = PinholeCamera(160, 80, 100.0, 100.0, 79.5, 39.5)
QUERIES = QuerySet(("car",), ("road",), np.eye(2, dtype=np.float32)[[1, 0]])
MODEL, EXACT = ("model", "model"), ("exact", "exact")


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Labels and depth of two cars, 8 and 20 m away, before a road at 40 m."""
    labels, depth = np.zeros((80, 160), np.uint8), np.full((80, 160), 40.0, np.float32)
    for columns, metres in ((slice(20, 52), 8.0), (slice(100, 124), 20.0)):
        labels[30:54, columns], depth[30:54, columns] = 1, metres
    return labels, depth


def compared(shown: np.ndarray, depth: np.ndarray, split: bool = False) -> dict[tuple[str, str], PlacedClass]:
    labels, truth = scene()
    errors = BoxErrors(NAMES, ["car"], split)
    features = LanguageFeatures(None, np.eye(2, dtype=np.float32)[shown[::4, ::4]], 20.0)
    errors.add(LabelledPicture(labels, truth, CAMERA), features, QUERIES, depth, SemanticConfig())
    return {way: classes["car"] for way, classes in errors.result().items()}


def test_cars_are_found_and_their_distance_is_off_as_depth_is() -> None:
    labels, truth = scene()
    result = compared(labels, truth * np.float32(1.1))
    assert list(result) == [MODEL] and result[MODEL].detections == 2
    bands = result[MODEL].bands
    assert list(bands) == ["all", "0-10 m", "20-40 m"]
    assert [(item.true, item.found) for item in bands.values()] == [(2, 2), (1, 1), (1, 1)]
    assert [item.distance_error for item in bands.values()] == pytest.approx([0.1] * 3, abs=0.01)
    near = compared(labels, truth * np.float32(0.9))[MODEL].bands["all"]
    assert (near.distance_error, near.distance_bias) == pytest.approx((0.1, -0.1), abs=0.01)


def test_a_car_that_is_missed_or_found_elsewhere_is_not_found() -> None:
    labels, truth = scene()
    labels[:, :60] = 0
    labels[60:76, 60:80] = 1
    placed = compared(labels, truth)[MODEL]
    assert (placed.bands["all"].true, placed.bands["all"].found, placed.detections) == (2, 1, 2)


def test_nothing_found_has_no_distance() -> None:
    labels, truth = scene()
    placed = compared(np.zeros_like(labels), truth)[MODEL].bands["all"]
    assert placed.found == 0 and np.isnan(placed.distance_error) and np.isnan(placed.distance_bias)


def test_errors_of_labels_and_of_depth_are_told_apart() -> None:
    labels, truth = scene()
    labels[:, :60] = 0  # The model misses one of the cars, and its depth is half as much again.
    results = {way: placed.bands["all"] for way, placed in compared(labels, truth * np.float32(1.5), True).items()}
    assert {way: item.found for way, item in results.items()} == {
        EXACT: 2,
        ("exact", "model"): 2,
        ("model", "exact"): 1,
        MODEL: 1,
    }
    assert results[EXACT].distance_error < 0.01 and results["model", "exact"].distance_error < 0.01
    assert results["exact", "model"].distance_error == pytest.approx(0.5, abs=0.01)
    assert results[MODEL].distance_error == pytest.approx(0.5, abs=0.01)


def test_each_detection_stands_for_one_object() -> None:
    labels, truth = np.zeros((80, 160), np.uint8), np.full((80, 160), 40.0, np.float32)
    # Of a car 16 m away the upper part is seen over one 8 m away; they touch, and the model makes one of them.
    labels[30:54, 60:100] = 1
    truth[30:40, 60:100], truth[40:54, 60:100] = 16.0, 8.0
    errors = BoxErrors(NAMES, ["car"])
    dense = np.eye(2, dtype=np.float32)[labels[::4, ::4]]
    picture = LabelledPicture(labels, truth, CAMERA)
    errors.add(picture, LanguageFeatures(None, dense, 20.0), QUERIES, truth, SemanticConfig())
    placed = errors.result()[MODEL]["car"]
    assert (placed.bands["all"].true, placed.bands["all"].found, placed.detections) == (2, 1, 1)
