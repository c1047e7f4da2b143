"""Labels, boxes and tokens, of scenes whose depth and classes are worked out ray by ray."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from space_clip_ros.config import NodeConfig, PointsConfig, SemanticConfig
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL, PixelGrid
from space_clip_ros.language.queries import closed_queries
from space_clip_ros.model_config import UNLABELLED, LanguageConfig
from space_clip_ros.perception.calibration import RectifiedView
from space_clip_ros.perception.core import made_outputs
from space_clip_ros.perception.focal_scaling import FocalScaling
from space_clip_ros.perception.frame import DepthFrame, DepthRequest
from space_clip_ros.perception.semantics import LanguageFeatures, place_tokens

MODEL = LanguageConfig(outputs=("embedding", "dense"), embed_dim=4, vocabulary=("road", "car", "person", "sky"))
ROAD, CAR, PERSON, SKY = range(4)
PATCHES = (28, 56)
EMBEDDING = np.array([0.6, 0.8, 0.0, 0.0], np.float32)
ALL = ("depth", "points", "labels", "confidence", "detections", "markers", "tokens", "embedding")


def seen(scenes: Any, *cars: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and (H, W) classes of a street with cars."""
    depth, empty = scenes.street(*cars), scenes.street()
    classes = np.where(np.isnan(empty), SKY, ROAD)
    classes[np.nan_to_num(depth) != np.nan_to_num(empty)] = CAR
    return depth, classes


def patches(classes: np.ndarray, grid: tuple[int, int] = PATCHES) -> np.ndarray:
    """Return the feature of each patch: the axis of the class in its middle."""
    rows, columns = (((np.arange(n) + 0.5) / n * size).astype(int) for n, size in zip(grid, classes.shape, strict=True))
    return np.eye(4, dtype=np.float32)[classes[rows][:, columns]]


def frame(
    scenes: Any,
    depth: np.ndarray,
    dense: np.ndarray | None,
    names: tuple[str, ...] = ("car",),
    grid: PixelGrid = EVERY_PIXEL,
    stride: int = 2,
    **semantic: Any,
) -> DepthFrame:
    settings = dataclasses.replace(
        NodeConfig(), points=PointsConfig(stride=stride, color=False), semantic=SemanticConfig(**semantic)
    )
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    request = DepthRequest(rgb, RectifiedView(scenes.CAMERA), settings, ALL, queries=closed_queries(names, MODEL))
    features = LanguageFeatures(EMBEDDING, dense, MODEL.logit_scale)
    return DepthFrame(request, rgb, grid.of(depth), 1.0, Projector, FocalScaling(), grid=grid, features=features)


def test_labels_lie_on_the_clouds_points(scenes: Any) -> None:
    depth, classes = seen(scenes, scenes.CAR)
    made = dict(made_outputs(frame(scenes, depth, patches(classes))))
    assert list(made) == list(ALL)
    labels, confidence, cloud = made["labels"], made["confidence"], made["points"]
    assert labels.dtype == confidence.dtype == np.uint8
    assert labels.shape == confidence.shape == cloud.shape[:2]
    assert set(np.unique(labels)) == {0, UNLABELLED}
    assert confidence[labels == 0].min() >= 127 and confidence[labels == UNLABELLED].max() == 0
    truth = classes[::2, ::2] == CAR
    both, either = (truth & (labels == 0)).sum(), (truth | (labels == 0)).sum()
    assert both / either > 0.8
    # What is labelled is where the car is.
    x, _, z = np.moveaxis(cloud[truth & (labels == 0)], -1, 0)
    assert x.min() > 1.4 and x.max() < 3.4 and z.min() > 7.9 and z.max() < 12.1


def test_every_stride_and_resolution_labels_the_same_rays(scenes: Any) -> None:
    depth, classes = seen(scenes, scenes.CAR)
    dense = patches(classes)
    every = frame(scenes, depth, dense, stride=1).semantics.labels
    np.testing.assert_array_equal(frame(scenes, depth, dense, stride=3).semantics.labels, every[::3, ::3])
    half = frame(scenes, depth, dense, stride=2, grid=PixelGrid(2, 2)).semantics.labels
    np.testing.assert_array_equal(half, every[::4, ::4])


def test_two_cars_are_two_boxes_at_their_places(scenes: Any) -> None:
    far = scenes.Box((-5.0, -3.2), (18.0, 22.0), (0.2, 1.5))
    depth, classes = seen(scenes, scenes.CAR, far)
    right, left = sorted(
        dict(made_outputs(frame(scenes, depth, patches(classes))))["detections"], key=lambda d: d.center[2]
    )
    for car, (x, z) in ((right, (2.4, 8.0)), (left, (-4.1, 18.0))):
        assert car.name == "car" and car.label == 0 and 0.5 < car.score <= 1.0
        assert car.center[0] == pytest.approx(x, abs=0.5)
        # The box is of what is seen: the front, and perhaps a side.
        assert z * 0.95 < car.center[2] < z * 1.15
        assert car.center[1] == pytest.approx(1.65 - 0.85, abs=0.25)
        assert 1.0 < car.size[0] < 2.3 and 0.8 < car.size[1] < 1.6
    assert right.patches > 4 * left.patches


def test_small_regions_are_left_out(scenes: Any) -> None:
    depth, classes = seen(scenes, scenes.CAR)
    objects = frame(scenes, depth, patches(classes)).objects
    (car,) = objects
    assert not frame(scenes, depth, patches(classes), min_patches=car.patches + 0.1).objects
    assert frame(scenes, depth, patches(classes), min_patches=car.patches - 0.1).objects == objects


def test_what_has_no_depth_has_a_label_and_no_box(scenes: Any) -> None:
    depth, classes = seen(scenes)
    processed = frame(scenes, depth, patches(classes), names=("sky", "road"))
    assert set(np.unique(processed.semantics.labels)) == {0, 1}
    assert [item.name for item in processed.objects] == ["road"]


def test_names_that_are_not_in_view_give_empty_lists(scenes: Any) -> None:
    depth, classes = seen(scenes)
    made = dict(made_outputs(frame(scenes, depth, patches(classes), names=("person",))))
    assert made["detections"] == [] and set(np.unique(made["labels"])) == {UNLABELLED}


def test_threshold_and_temperature_are_used(scenes: Any) -> None:
    depth, classes = seen(scenes, scenes.CAR)
    soft = frame(scenes, depth, patches(classes), temperature=40.0)
    # logit_scale 40 / 40: e / (e + 3) in the middle of the car, below the threshold of 0.5.
    assert set(np.unique(soft.semantics.labels)) == {UNLABELLED}
    low = frame(scenes, depth, patches(classes), temperature=40.0, threshold=0.4)
    assert low.semantics.confidence.max() == round(255 * np.e / (np.e + 3))


def test_tokens_lie_at_their_patches_median_depth(scenes: Any) -> None:
    depth, classes = seen(scenes, scenes.CAR)
    dense = patches(classes)
    tokens = dict(made_outputs(frame(scenes, depth, dense)))["tokens"]
    assert tokens.points.shape == (*PATCHES, 3) and tokens.points.dtype == np.float32
    np.testing.assert_array_equal(tokens.features, dense)
    car = dense[..., CAR] > 0
    assert (np.abs(tokens.points[car, 2] - 8.0) < 0.1).mean() > 0.5
    assert np.isnan(tokens.points[dense[..., SKY] > 0]).any()
    x, y, z = np.moveaxis(tokens.points, -1, 0)
    known = np.isfinite(z)
    camera = scenes.CAMERA
    u, v = x[known] / z[known] * camera.fx + camera.cx, y[known] / z[known] * camera.fy + camera.cy
    row, column = np.nonzero(known)
    np.testing.assert_allclose(u, (column + 0.5) / PATCHES[1] * camera.width - 0.5, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(v, (row + 0.5) / PATCHES[0] * camera.height - 0.5, rtol=1e-4, atol=1e-3)


def test_one_wrong_pixel_does_not_move_a_token(scenes: Any) -> None:
    depth = np.full((scenes.CAMERA.height, scenes.CAMERA.width), 5.0, np.float32)
    depth[::5] = 50.0
    depth[1::5] = np.nan
    points = place_tokens(np.zeros((4, 6, 2), np.float32), depth, scenes.CAMERA).points
    np.testing.assert_array_equal(points[..., 2], 5.0)


def test_the_embedding_goes_through(scenes: Any) -> None:
    depth, classes = seen(scenes)
    np.testing.assert_array_equal(dict(made_outputs(frame(scenes, depth, patches(classes))))["embedding"], EMBEDDING)


def test_labels_without_features_are_an_error_of_the_caller(scenes: Any) -> None:
    depth, _ = seen(scenes)
    with pytest.raises(ValueError, match="need features of patches"):
        _ = frame(scenes, depth, None).semantics
    with pytest.raises(ValueError, match="need their camera and features"):
        _ = frame(scenes, depth, None).tokens
