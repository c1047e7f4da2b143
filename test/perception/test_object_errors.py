from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.config import SemanticConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.perception.object_errors import ObjectErrors

NAMES = ("road", "car")
CAMERA = PinholeCamera(160, 80, 100.0, 100.0, 79.5, 39.5)
QUERIES = QuerySet(("car",), ("road",), np.eye(2, dtype=np.float32)[[1, 0]])


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Labels and depth of two cars, 10 and 20 m away, before a road at 40 m."""
    labels, depth = np.zeros((80, 160), np.uint8), np.full((80, 160), 40.0, np.float32)
    for columns, metres in ((slice(20, 52), 10.0), (slice(100, 124), 20.0)):
        labels[30:54, columns], depth[30:54, columns] = 1, metres
    return labels, depth


def compared(found: np.ndarray, depth: np.ndarray) -> ObjectErrors:
    labels, truth = scene()
    errors = ObjectErrors(NAMES, ["car"])
    dense = np.eye(2, dtype=np.float32)[found[::4, ::4]]
    errors.add(dense, QUERIES, 20.0, depth, labels, truth, CAMERA, SemanticConfig())
    return errors


def test_cars_are_found_and_their_distance_is_off_as_depth_is():
    labels, truth = scene()
    placed = compared(labels, truth * np.float32(1.1)).result()["car"]
    assert (placed.true, placed.found, placed.detections) == (2, 2, 2)
    assert placed.distance_error == pytest.approx(0.1, abs=0.01)


def test_a_car_that_is_missed_or_found_elsewhere_is_not_found():
    labels, truth = scene()
    labels[:, :60] = 0
    labels[60:76, 60:80] = 1
    placed = compared(labels, truth).result()["car"]
    assert (placed.true, placed.found, placed.detections) == (2, 1, 2)


def test_nothing_found_has_no_distance():
    labels, truth = scene()
    placed = compared(np.zeros_like(labels), truth).result()["car"]
    assert placed.found == 0 and np.isnan(placed.distance_error)
