"""How well objects are placed: boxes found by queries against boxes of the true labels and the true depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import SemanticConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.detections import DetectedObject, Region, connected_regions, robust_box
from space_clip_ros.geometry.ground_plane import visible_ground
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.perception.semantics import LanguageFeatures, SemanticGrid

EDGES_M = (0.0, 10.0, 20.0, 40.0, 80.0)
"""Bounds of the bands of true distance, metres; a band includes its nearer bound."""
ALL = "all"
BANDS = (ALL, *(f"{near:g}-{far:g} m" for near, far in pairwise(EDGES_M)))
"""Names of the bands. The first one holds every object, also those outside the others."""

_STRIDE = 2
_SMALLEST_PIXELS = 30
"""True objects with fewer pixels of the grid do not count; that is about 8 x 15 pixels of the picture."""
_TRUE_GAP, _TRUE_GAP_M = 0.1, 1.0
"""Neighbouring pixels of one true object differ in depth by at most this share, or by so many metres."""
_MOST_APART = np.deg2rad(2.0)
"""Directions of two boxes of one object differ by at most this, or by half the true box's width."""


@dataclass(frozen=True)
class PlacedObjects:
    """Objects of one class in a band of distance, over all pictures.

    Attributes:
        true: how many there are.
        found: how many of them have a detection of their own in their direction.
        distance_error: median over those found of \\|distance / true distance - 1\\|; NaN if none was found.
        distance_bias: median over those found of distance / true distance - 1; NaN if none was found.
    """

    true: int
    found: int
    distance_error: float
    distance_bias: float


@dataclass(frozen=True)
class PlacedClass:
    """Objects of one class, over all pictures.

    Attributes:
        detections: how many detections there are.
        bands: the objects of each of :data:`BANDS` that has any.
    """

    detections: int
    bands: dict[str, PlacedObjects]


@dataclass(frozen=True)
class LabelledPicture:
    """A picture with the truth.

    Attributes:
        labels: (H, W) uint8 true classes.
        depth: (H, W) float32 true metres, NaN where unknown.
        camera: of both.
    """

    labels: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: PinholeCamera


class TrueObjects:
    """The true objects of a picture, and what the node would make of its true labels.

    An object is a connected region of one true label, cut where depth jumps. Its box holds what the camera sees of it,
    as a detection's does: from the 5th to the 95th percentile of its points.

    Args:
        picture: the picture.
        names: of the classes, by their numbers in the true labels.
        counted: the classes whose objects are wanted.
    """

    def __init__(self, picture: LabelledPicture, names: Sequence[str], counted: Sequence[str]) -> None:
        """Find them."""
        height, width = picture.labels.shape
        self.grid = EVERY_PIXEL.shares(height, width, _STRIDE)
        self.projector = Projector(picture.camera, _STRIDE)
        self.cloud = self.projector.project(picture.depth)
        picked = np.minimum(picture.labels[::_STRIDE, ::_STRIDE], len(names))
        # One axis for each class and one for pixels without any.
        vectors = np.eye(len(names) + 1, dtype=np.float32)
        indices = [names.index(name) for name in counted]
        others = [index for index in range(len(names) + 1) if index not in indices]
        background = tuple([*names, ""][index] for index in others)
        queries = QuerySet(tuple(counted), background, vectors[[*indices, *others]])
        settings = SemanticConfig(min_patches=_SMALLEST_PIXELS)
        self.exact = SemanticGrid(vectors[picked], queries, settings, 100.0, *self.grid)
        self.objects = [
            placed
            for number, name in enumerate(counted)
            for placed in self._objects(picked == indices[number], number, name)
        ]

    def _objects(self, mask: NDArray[np.bool_], number: int, name: str) -> list[DetectedObject]:
        objects = []
        for region in _cut_regions(mask, self.cloud[..., 2]):
            box = robust_box(self.cloud[region.window][region.mask])
            if box is not None:
                objects.append(DetectedObject(number, name, 1.0, *box, float(region.area)))
        return objects


class ObjectErrors:
    """Compares detections with the true objects, picture by picture.

    Args:
        counted: the classes whose objects are compared.
    """

    def __init__(self, counted: Sequence[str]) -> None:
        """Start with no picture."""
        self._true: dict[str, list[float]] = {name: [] for name in counted}
        self._found: dict[str, list[tuple[float, float]]] = {name: [] for name in counted}
        self._detections = dict.fromkeys(counted, 0)

    def add(self, true: Sequence[DetectedObject], detected: Sequence[DetectedObject]) -> None:
        """Compare one picture.

        Args:
            true: its objects.
            detected: its detections.
        """
        for name in self._true:
            wanted = [item for item in true if item.name == name]
            offered = [item for item in detected if item.name == name]
            distances = [float(np.linalg.norm(item.center)) for item in wanted]
            self._true[name] += distances
            self._detections[name] += len(offered)
            for first, second in _matches(wanted, offered):
                error = float(np.linalg.norm(offered[second].center)) / distances[first] - 1.0
                self._found[name].append((distances[first], error))

    def result(self) -> dict[str, PlacedClass]:
        """Return the errors of each class that has true objects."""
        return {name: self._placed(name) for name, distances in self._true.items() if distances}

    def _placed(self, name: str) -> PlacedClass:
        true = np.array(self._true[name])
        distances, errors = np.array(self._found[name]).reshape(-1, 2).T
        bands = {}
        for band, near, far in zip(BANDS, (0.0, *EDGES_M), (np.inf, *EDGES_M[1:]), strict=False):
            count = int(((true >= near) & (true < far)).sum())
            inside = errors[(distances >= near) & (distances < far)]
            error, bias = (float(np.median(v)) if inside.size else float("nan") for v in (np.abs(inside), inside))
            if count:
                bands[band] = PlacedObjects(count, int(inside.size), error, bias)
        return PlacedClass(self._detections[name], bands)


class BoxErrors:
    """Compares boxes four ways, to tell errors of labels from errors of depth.

    The labels are the true ones or the model's, and so is depth.

    Args:
        names: of the classes, by their numbers in the true labels.
        counted: the classes whose objects are compared.
        split: whether to compare in all four ways; else only with the model's labels and depth.
    """

    def __init__(self, names: Sequence[str], counted: Sequence[str], split: bool = False) -> None:
        """Start with no picture."""
        self._names, self._counted = tuple(names), tuple(counted)
        ways = [(labels, depth) for labels in ("exact", "model") for depth in ("exact", "model")]
        self._errors = {way: ObjectErrors(counted) for way in (ways if split else [("model", "model")])}

    def add(
        self,
        picture: LabelledPicture,
        features: LanguageFeatures,
        queries: QuerySet,
        depth: NDArray[np.float32],
        settings: SemanticConfig,
    ) -> None:
        """Compare one picture.

        Args:
            picture: with the truth.
            features: the model's, with those of patches.
            queries: what is looked for: the classes that are compared, in their order.
            depth: (H, W) float32 predicted metres.
            settings: of the detections.

        Raises:
            ValueError: there are no features of patches.
        """
        if features.dense is None:
            raise ValueError("boxes need features of patches")
        truth = TrueObjects(picture, self._names, self._counted)
        seen = SemanticGrid(features.dense, queries, settings, features.logit_scale, *truth.grid)
        grids = {"exact": truth.exact, "model": seen}
        views = {"exact": (truth.cloud, picture.depth), "model": (truth.projector.project(depth), depth)}
        scenes = {source: (cloud, visible_ground(metres, picture.camera)) for source, (cloud, metres) in views.items()}
        for (labels, source), errors in self._errors.items():
            errors.add(truth.objects, grids[labels].objects(*scenes[source]))

    def result(self) -> Mapping[tuple[str, str], dict[str, PlacedClass]]:
        """Return the errors of each class that has true objects, by where labels and depth come from."""
        return {way: errors.result() for way, errors in self._errors.items()}


def _cut_regions(mask: NDArray[np.bool_], depth: NDArray[np.float32]) -> list[Region]:
    """Return the larger connected regions of a mask, cut where depth jumps: a car before another is two regions.

    Pixels are neighbours above, below, left and right; unknown depth cuts nothing.
    """
    # Pixels lie at even rows and columns, with the links between neighbours in between.
    links = np.zeros((2 * mask.shape[0] - 1, 2 * mask.shape[1] - 1), bool)
    links[::2, ::2] = mask
    links[1::2, ::2] = mask[1:] & mask[:-1] & _near(depth[1:], depth[:-1])
    links[::2, 1::2] = mask[:, 1:] & mask[:, :-1] & _near(depth[:, 1:], depth[:, :-1])
    _, numbers = cv2.connectedComponents(links.view(np.uint8), connectivity=4)
    numbers = np.ascontiguousarray(numbers[::2, ::2])
    large = np.flatnonzero(np.bincount(numbers[mask], minlength=1) >= _SMALLEST_PIXELS)
    return [region for number in large for region in connected_regions(numbers == number)]


def _near(depth: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(~(np.abs(depth - other) > np.maximum(np.minimum(depth, other) * _TRUE_GAP, _TRUE_GAP_M)))


def _matches(true: Sequence[DetectedObject], detected: Sequence[DetectedObject]) -> list[tuple[int, int]]:
    """Return pairs of the numbers of true and found objects in one direction, each of them once, closest first."""
    pairs = []
    for first, target in enumerate(true):
        reach = max(_MOST_APART, target.size[0] / 2 / float(np.linalg.norm(target.center)))
        for second, detection in enumerate(detected):
            apart = _angle(target, detection)
            if apart <= reach:
                pairs.append((apart, first, second))
    matches: list[tuple[int, int]] = []
    for _, first, second in sorted(pairs):
        if all(first != true_number and second != number for true_number, number in matches):
            matches.append((first, second))
    return matches


def _angle(item: DetectedObject, other: DetectedObject) -> float:
    """Return the angle between the directions of two objects, radians."""
    first, second = np.asarray(item.center), np.asarray(other.center)
    cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))
