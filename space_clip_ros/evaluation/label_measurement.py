"""Scores the classes that language features give the pixels, and the places of objects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import SemanticConfig
from space_clip_ros.data.collection import FrameCollection
from space_clip_ros.data.frames import SkippedFrameError
from space_clip_ros.data.pillow_resize import resize_bicubic
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.evaluation.object_errors import BoxErrors, LabelledPicture
from space_clip_ros.evaluation.segmentation import ConfusionMatrix, SegmentationScores
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL
from space_clip_ros.inference.backend import Prediction
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.language.scores import patch_probabilities, sample
from space_clip_ros.language.windows import windowed_dense
from space_clip_ros.model_config import LanguageConfig
from space_clip_ros.perception.focal_scaling import focal_scaling
from space_clip_ros.perception.semantics import LanguageFeatures

_OBJECTS = ("car", "person")


def measure_labels(
    predictor: Predictor,
    language: LanguageConfig,
    frames: FrameCollection,
    queries: QuerySet,
    windows: tuple[int, int] | None,
    split: bool,
    done: Callable[[], object],
) -> tuple[SegmentationScores, BoxErrors]:
    """Label every frame, and place its cars and people.

    Args:
        predictor: the model, which gives features of patches.
        language: the model's.
        frames: with labels; those that cannot be read are left out.
        queries: one for each class, in the order of the labels.
        windows: width and height, pixels, that pictures are resized to before windows over them are averaged; None for
            one pass over the picture. Objects are placed in one pass only.
        split: whether to place objects with the true labels and the true depth too; see :class:`BoxErrors`.
        done: called once for each frame.

    Raises:
        DataError: a frame has no labels.
        InputError: the model gives no features of patches.
    """

    def dense_features(prediction: Prediction) -> NDArray[np.float32]:
        if prediction.dense is None:
            raise InputError(f"model {predictor.info.name}", "gave no features of patches")
        return prediction.dense

    matrix = ConfusionMatrix(queries.names)
    counted = [name for name in _OBJECTS if name in queries.names]
    errors = BoxErrors(queries.names, counted, split)
    indices = [queries.names.index(name) for name in counted]
    others = [index for index in range(len(queries.names)) if index not in indices]
    background = tuple(queries.names[index] for index in others)
    wanted = QuerySet(tuple(counted), background, queries.vectors[[*indices, *others]], queries.tower)
    for index in range(len(frames)):
        done()
        try:
            frame = frames[index]
        except SkippedFrameError:
            continue
        if frame.labels is None:
            raise DataError(frames.label(index), "has no labels", "give its source labels: [road, car, ...]")
        if windows is None:
            prediction = predictor.run(frame.image)
            dense = dense_features(prediction)
        else:
            larger = resize_bicubic(frame.image, windows[1], windows[0])
            dense = windowed_dense(lambda window: dense_features(predictor.run(window)), larger)
        patches = patch_probabilities(dense, queries, language.logit_scale)
        pixels = EVERY_PIXEL.shares(*frame.labels.shape)
        matrix.add(sample(patches, *pixels)[:-1].argmax(axis=0), frame.labels)
        if counted and windows is None and frame.camera is not None and np.isfinite(frame.depth).any():
            trained = predictor.info.trained_for(frame.camera.width, frame.camera.height)
            factor = focal_scaling("auto", frame.camera, trained).factor
            errors.add(
                LabelledPicture(frame.labels, frame.depth, frame.camera),
                LanguageFeatures(None, dense, language.logit_scale),
                wanted,
                prediction.depth * np.float32(factor),
                SemanticConfig(),
            )
    return matrix.scores(), errors
