"""How well objects are placed: boxes found by queries against boxes of the true labels and the true depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import SemanticConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.detections import DetectedObject
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.perception.semantics import SemanticGrid

_STRIDE = 2
_SMALLEST_PIXELS = 30
"""True objects of fewer pixels of the grid do not count: some 8 x 15 pixels of the picture."""
_MOST_APART = np.deg2rad(2.0)
"""Directions of two boxes of one object differ by at most this, or by half the true box's width."""


@dataclass(frozen=True)
class PlacedObjects:
    """Objects of one class, over all pictures.

    Attributes:
        true: how many there are.
        found: how many of them have a detection in their direction.
        detections: how many detections there are.
        distance_error: median over those found of \\|distance / true distance - 1\\|; NaN if none was found.
    """

    true: int
    found: int
    detections: int
    distance_error: float


class ObjectErrors:
    """Compares detections with the true objects, picture by picture.

    Args:
        names: of the classes, by their numbers in the true labels.
        counted: the classes whose objects are compared.
    """

    def __init__(self, names: Sequence[str], counted: Sequence[str]) -> None:
        """Start with no picture."""
        self._names = tuple(names)
        # One axis for each class and one for pixels without any.
        vectors = np.eye(len(names) + 1, dtype=np.float32)
        self._truth = QuerySet(self._names, ("",), vectors)
        self._errors: dict[str, list[float]] = {name: [] for name in counted}
        self._true = dict.fromkeys(counted, 0)
        self._detections = dict.fromkeys(counted, 0)

    def add(
        self,
        dense: NDArray[np.float32],
        queries: QuerySet,
        logit_scale: float,
        depth: NDArray[np.float32],
        labels: NDArray[np.uint8],
        truth: NDArray[np.float32],
        camera: PinholeCamera,
        settings: SemanticConfig,
    ) -> None:
        """Compare one picture.

        Args:
            dense: (rows, columns, D) float32, the model's features of the picture's patches.
            queries: with the names of the classes.
            logit_scale: the model's.
            depth: (H, W) float32 predicted metres.
            labels: (H, W) uint8 true classes.
            truth: (H, W) float32 true metres, NaN where unknown.
            camera: of both.
            settings: of the detections.
        """
        projector = Projector(camera, _STRIDE)
        grid = EVERY_PIXEL.shares(labels.shape[0], labels.shape[1], _STRIDE)
        picked = np.minimum(labels[::_STRIDE, ::_STRIDE], len(self._names))
        exact = SemanticGrid(
            self._truth.vectors[picked], self._truth, SemanticConfig(min_patches=_SMALLEST_PIXELS), 100.0, *grid
        )
        true = exact.objects(projector.project(truth))
        found = SemanticGrid(dense, queries, settings, logit_scale, *grid).objects(projector.project(depth))
        for name in self._errors:
            wanted = [one for one in true if one.name == name]
            offered = [one for one in found if one.name == name]
            self._true[name] += len(wanted)
            self._detections[name] += len(offered)
            for one in wanted:
                distance = float(np.linalg.norm(one.center))
                apart = [_angle(one, other) for other in offered]
                if apart and min(apart) <= max(_MOST_APART, one.size[0] / 2 / distance):
                    nearest = offered[int(np.argmin(apart))]
                    self._errors[name].append(abs(float(np.linalg.norm(nearest.center)) / distance - 1.0))

    def result(self) -> dict[str, PlacedObjects]:
        """Return the errors of each class that was counted."""
        return {
            name: PlacedObjects(
                self._true[name],
                len(errors),
                self._detections[name],
                float(np.median(errors)) if errors else float("nan"),
            )
            for name, errors in self._errors.items()
        }


def _angle(one: DetectedObject, other: DetectedObject) -> float:
    """Return the angle between the directions of two objects, radians."""
    first, second = np.asarray(one.center), np.asarray(other.center)
    cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))
