from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.evaluation.segmentation import ConfusionMatrix


def test_intersection_over_union_by_hand():
    matrix = ConfusionMatrix(["road", "car", "person"])
    truth = np.array([[0, 0, 1, 255], [1, 1, 0, 255]], np.uint8)
    matrix.add(np.array([[0, 1, 1, 2], [1, 0, 0, 0]]), truth)
    scores = matrix.scores()
    # road: 2 right of 2 + 1 missed + 1 wrong; car the same; the person was never there, and the unlabelled do not count
    assert scores.iou == {"road": pytest.approx(2 / 4), "car": pytest.approx(2 / 4)}
    assert scores.mean_iou == pytest.approx(0.5) and scores.accuracy == pytest.approx(4 / 6)
    assert scores.pictures == 1


def test_pictures_are_counted_together_pixel_by_pixel():
    matrix = ConfusionMatrix(["a", "b"])
    matrix.add(np.zeros((1, 1), int), np.zeros((1, 1), np.uint8))
    matrix.add(np.array([[0, 0, 0]]), np.array([[1, 1, 0]], np.uint8))
    assert matrix.scores().iou == {"a": pytest.approx(2 / 4), "b": 0.0}


def test_what_cannot_be_compared_is_refused():
    matrix = ConfusionMatrix(["a", "b"])
    with pytest.raises(InputError, match="no labelled pixel was compared"):
        matrix.scores()
    with pytest.raises(InputError, match=r"labels: are \(1, 2\), the truth \(2, 2\)"):
        matrix.add(np.zeros((1, 2), int), np.zeros((2, 2), np.uint8))
    with pytest.raises(InputError, match="must be below 2, got 7"):
        matrix.add(np.full((1, 1), 7), np.zeros((1, 1), np.uint8))
