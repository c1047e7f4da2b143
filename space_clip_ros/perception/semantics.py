"""What queries find in one image, on the pixels of its cloud: labels, objects with boxes, and patches in space."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import SemanticConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import quantile
from space_clip_ros.geometry.detections import DetectedObject, connected_regions, visible_box
from space_clip_ros.geometry.ground_plane import GroundPlane
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.language.scores import label, patch_probabilities, sample
from space_clip_ros.model_config import UNLABELLED

_SAMPLES = 8
"""Depth of a patch is the median of so many pixels a side."""


@dataclass(frozen=True)
class LanguageFeatures:
    """What a model says of one image in a space that it shares with words.

    Attributes:
        embedding: (D,) float32 of length 1, of the image; None where the model gives none.
        dense: (rows, columns, D) float32 of length 1, of each patch; None where the model gives none.
        logit_scale: the model's factor on cosines.
    """

    embedding: NDArray[np.float32] | None
    dense: NDArray[np.float32] | None
    logit_scale: float


class SemanticGrid:
    """What queries make of an image, on a grid of its pixels. Everything is computed when it is asked for, once.

    Args:
        dense: (rows, columns, D) float32, features of the image's patches.
        queries: what is looked for.
        settings: threshold, temperature and the smallest object.
        logit_scale: the model's factor on cosines.
        rows: (h,) where the grid's rows lie, as a share of the image's height.
        columns: (w,) where its columns lie, as a share of the image's width.
    """

    def __init__(
        self,
        dense: NDArray[np.float32],
        queries: QuerySet,
        settings: SemanticConfig,
        logit_scale: float,
        rows: NDArray[np.float64],
        columns: NDArray[np.float64],
    ) -> None:
        """Keep the arguments."""
        self._dense = dense
        self._queries = queries
        self._settings = settings
        self._logit_scale = logit_scale
        self._rows, self._columns = rows, columns

    @property
    def labels(self) -> NDArray[np.uint8]:
        """(h, w) uint8, the number of each pixel's query; :data:`UNLABELLED` where there is none."""
        return self._labelled[0]

    @property
    def confidence(self) -> NDArray[np.uint8]:
        """(h, w) uint8, 255 times the probability of the label; 0 where unlabelled."""
        return self._labelled[1]

    def objects(self, cloud: NDArray[np.float32], ground: GroundPlane | None = None) -> list[DetectedObject]:
        """Return the connected regions of each query, with boxes; those that are too small or without depth left out.

        A box holds what the camera sees of its region (:func:`visible_box`).

        Args:
            cloud: (h, w, 3) float32 x y z of the grid's pixels, metres, NaN where invalid.
            ground: the ground in the cloud; None where it is not known.
        """
        height, width = self.labels.shape
        patch = height * width / (self._dense.shape[0] * self._dense.shape[1])
        objects = []
        for number in np.unique(self.labels[self.labels != UNLABELLED]):
            for region in connected_regions(self.labels == number):
                area = region.area / patch
                if area < self._settings.min_patches:
                    continue
                box = visible_box(cloud[region.window], region.mask, ground)
                if box is None:
                    continue
                score = float(self.confidence[region.window][region.mask].mean()) / 255
                objects.append(DetectedObject(int(number), self._queries.names[number], score, *box, area))
        return objects

    @functools.cached_property
    def _labelled(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        patches = patch_probabilities(self._dense, self._queries, self._logit_scale, self._settings.temperature)
        return label(sample(patches, self._rows, self._columns), self._settings.threshold)


@dataclass(frozen=True)
class Tokens:
    """An image's patches in space.

    Attributes:
        points: (rows, columns, 3) float32 x y z in metres in the camera's optical frame, NaN where there is no depth.
        features: (rows, columns, D) float32 of length 1.
    """

    points: NDArray[np.float32]
    features: NDArray[np.float32]


def place_tokens(features: NDArray[np.float32], depth: NDArray[np.float32], camera: PinholeCamera) -> Tokens:
    """Return each patch at the median depth of its pixels, on the ray through its middle.

    Args:
        features: (rows, columns, D) float32, over the whole image.
        depth: (H, W) float32 metres, NaN where invalid.
        camera: of ``depth``.
    """
    rows, columns = features.shape[:2]
    height, width = depth.shape
    down, across = _middles(rows * _SAMPLES, height), _middles(columns * _SAMPLES, width)
    picked = depth[down][:, across].reshape(rows, _SAMPLES, columns, _SAMPLES).swapaxes(1, 2)
    z = quantile(picked.reshape(rows, columns, -1), 0.5, axis=-1)
    x = ((np.arange(columns) + 0.5) / columns * width - 0.5 - camera.cx) / camera.fx
    y = ((np.arange(rows) + 0.5) / rows * height - 0.5 - camera.cy) / camera.fy
    return Tokens(np.stack([z * x, z * y[:, None], z], axis=-1).astype(np.float32), features)


def _middles(count: int, size: int) -> NDArray[np.int64]:
    """Return the pixels in which the middles of ``count`` equal parts of ``size`` pixels lie."""
    return ((np.arange(count) + 0.5) * size / count).astype(np.int64)
