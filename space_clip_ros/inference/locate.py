"""Where queries are: their pixels in an image, and a box in front of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import SemanticConfig
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.depth import invalidate
from space_clip_ros.geometry.detections import Box, connected_regions, visible_box
from space_clip_ros.geometry.focal_factor import applied_factor
from space_clip_ros.geometry.ground_plane import GroundPlane, visible_ground
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL
from space_clip_ros.inference.backend import ModelInfo, Prediction
from space_clip_ros.language.queries import QuerySet, closed_queries
from space_clip_ros.language.scores import label, patch_probabilities, sample
from space_clip_ros.model_config import LanguageConfig

THRESHOLD = 0.5
"""Least probability of a pixel that shows a query."""


@dataclass(frozen=True)
class LocatedQuery:
    """What was found of one query.

    Attributes:
        name: the query.
        score: its highest probability in any patch, 0 to 1, in the softmax over queries and background.
        mask: (H, W) bool, the image's pixels that show it; all False if it was not found.
        center: x, y, z of the middle of the box around its largest connected region, metres in the camera's optical
            frame (x right, y down, z forward); None if it was not found, or if the node would not report that region
            as an object: it is smaller than a patch, or has depth on less than a tenth of its pixels.
        size: extent of that box along the same axes, metres; None likewise.
    """

    name: str
    score: float
    mask: NDArray[np.bool_]
    center: tuple[float, float, float] | None
    size: tuple[float, float, float] | None


def patch_language(info: ModelInfo) -> LanguageConfig:
    """Return what a model's language features are.

    Raises:
        InputError: it gives no features of patches.
    """
    language = info.language
    if language is None or "dense" not in language.outputs:
        raise InputError(
            f"model {info.name}",
            "gives no features of patches, so nothing can be found by name",
            "take one exported with --outputs depth dense",
        )
    return language


def model_queries(queries: QuerySet | Sequence[str], info: ModelInfo) -> QuerySet:
    """Return queries that fit a model.

    Args:
        queries: vectors, or names for a model with a closed list.
        info: the model's.

    Raises:
        InputError: the model gives no features of patches, or the queries are for another.
    """
    language = patch_language(info)
    if not isinstance(queries, QuerySet):
        if not language.vocabulary:
            raise InputError(
                "queries",
                f"must be vectors for model {info.name}, which cannot turn words into vectors",
                "read them with QuerySet.read from a file of 'space_clip text', or make them with a TextEncoder",
            )
        queries = closed_queries(queries, language)
    queries.check(language)
    return queries


def located(
    prediction: Prediction, queries: QuerySet, info: ModelInfo, camera: PinholeCamera, threshold: float
) -> list[LocatedQuery]:
    """Return where queries are in an image that a model has seen.

    Depth is scaled for the camera's field of view where it is another than the training camera's.

    Args:
        prediction: with dense features.
        queries: as :func:`model_queries` returns them.
        info: the model's.
        camera: the image's.
        threshold: least probability of a pixel that shows a query.

    Raises:
        InputError: the camera is missing or not the image's size, the threshold is not 0 to 1, or the queries
            cannot be told apart.
    """
    if not 0.0 <= threshold <= 1.0:
        raise InputError("threshold", f"must be from 0 to 1, got {threshold}")
    if not isinstance(camera, PinholeCamera):
        raise InputError("camera", f"must be a PinholeCamera, got {camera!r}", "give the image's calibration")
    height, width = prediction.depth.shape
    if (camera.width, camera.height) != (width, height):
        raise InputError(
            "camera",
            f"is of {camera.width} x {camera.height} pixels, the image of {width} x {height}",
            "give the calibration of this image's size",
        )
    if prediction.dense is None or info.language is None:
        raise InputError(f"model {info.name}", "gave no features of patches")
    depth = prediction.depth * np.float32(applied_factor(camera, info.trained_for(width, height)))
    depth = invalidate(depth, info.min_depth, info.max_depth)
    cloud, ground = Projector(camera).project(depth, tested=True), visible_ground(depth, camera)
    patches = patch_probabilities(prediction.dense, queries, info.language.logit_scale)
    labels, _ = label(sample(patches, *EVERY_PIXEL.shares(height, width)), threshold)
    smallest = SemanticConfig().min_patches * labels.size / patches[0].size
    results = []
    for number, name in enumerate(queries.names):
        mask = labels == number
        box = _largest_box(mask, cloud, ground, smallest)
        center, size = (None, None) if box is None else box
        results.append(LocatedQuery(name, float(patches[number].max()), mask, center, size))
    return results


def _largest_box(
    mask: NDArray[np.bool_], cloud: NDArray[np.float32], ground: GroundPlane | None, smallest: float
) -> Box | None:
    """Return the box of a mask's largest connected region; None if it is too small or has too little depth."""
    largest = max(connected_regions(mask), key=lambda region: region.area, default=None)
    if largest is None or largest.area < smallest:
        return None
    return visible_box(cloud[largest.window], largest.mask, ground)
