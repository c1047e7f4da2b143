"""Turns images into named arrays: rectifies them, runs the model, scales its depth and makes what is wanted."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.obstacles import ObstacleFinder
from space_clip_ros.geometry.pixel_grid import PixelGrid
from space_clip_ros.inference.backend import ModelInfo, Prediction
from space_clip_ros.perception.calibration import RectifiedView
from space_clip_ros.perception.focal_scaling import focal_scaling
from space_clip_ros.perception.frame import DepthFrame, DepthRequest
from space_clip_ros.perception.outputs import OUTPUTS, need_features
from space_clip_ros.perception.resolution import depth_grid
from space_clip_ros.perception.scale import ScaleEstimate
from space_clip_ros.perception.semantics import LanguageFeatures

ENGINE = "engine"
"""Stage of the model's run; the model's own stages are ``engine/NAME``."""
_PROJECTORS = 16


class DepthModel(Protocol):
    """The part of a model that the core uses; a :class:`~space_clip_ros.inference.predictor.Predictor` is one."""

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""
        ...

    def run_batch(self, images: Sequence[Rgb], language: bool = True) -> list[Prediction]:
        """Estimate depth of images of one size, with language features unless nobody wants them."""
        ...


class _Prepared(NamedTuple):
    place: int
    request: DepthRequest
    rgb: NDArray[np.uint8]


class DepthCore:
    """Turns requests into depth frames. Not for several threads at once.

    Args:
        model: what estimates depth.
    """

    def __init__(self, model: DepthModel) -> None:
        """Keep the model."""
        self._model = model
        self._projector = functools.lru_cache(maxsize=_PROJECTORS)(Projector)
        self._finder = functools.lru_cache(maxsize=_PROJECTORS)(ObstacleFinder)

    def run(self, requests: Sequence[DepthRequest]) -> list[DepthFrame | Exception]:
        """Estimate depth; images of one size run together.

        Returns:
            For each request its frame, or what went wrong with it: an InputError where the image is at fault, else
            whatever was raised.
        """
        results: dict[int, DepthFrame | Exception] = {}
        groups: dict[tuple[int, ...], list[_Prepared]] = {}
        for index, request in enumerate(requests):
            try:
                prepared = _Prepared(index, request, _rectified(request))
            except Exception as error:
                results[index] = error
            else:
                groups.setdefault(prepared.rgb.shape, []).append(prepared)
        for group in groups.values():
            results.update(zip((prepared.place for prepared in group), self._estimate(group), strict=True))
        return [results[index] for index in range(len(requests))]

    def camera(self, view: RectifiedView, settings: NodeConfig) -> PinholeCamera | None:
        """Return the camera of the depth that images of a view get; None where the view's is unknown."""
        if view.camera is None:
            return None
        return self._grid(settings, (view.camera.height, view.camera.width)).camera(view.camera)

    @property
    def info(self) -> ModelInfo:
        """The model's facts."""
        return self._model.info

    def _grid(self, settings: NodeConfig, image_size: tuple[int, int]) -> PixelGrid:
        return depth_grid(settings.depth_resolution, image_size, self._network_grid())

    def _network_grid(self) -> tuple[int, int]:
        return self._model.info.depth_grid or self._model.info.input_size

    def _estimate(self, group: Sequence[_Prepared]) -> list[DepthFrame | Exception]:
        for prepared in group:
            prepared.request.watch.restart()
        try:
            language = any(need_features(prepared.request.outputs) for prepared in group)
            predictions = self._model.run_batch([prepared.rgb for prepared in group], language)
        except Exception as error:
            return [error] * len(group)
        for prepared, prediction in zip(group, predictions, strict=True):
            watch = prepared.request.watch
            watch.lap(ENGINE)
            watch.stages_ms.update({f"{ENGINE}/{name}": value for name, value in prediction.stages_ms.items()})
        return [self._frame_or_error(*pair) for pair in zip(group, predictions, strict=True)]

    def _frame_or_error(self, prepared: _Prepared, prediction: Prediction) -> DepthFrame | Exception:
        try:
            return self._frame(prepared, prediction)
        except Exception as error:
            return error

    def _frame(self, prepared: _Prepared, prediction: Prediction) -> DepthFrame:
        request = prepared.request
        height, width = prepared.rgb.shape[:2]
        trained = self._model.info.trained_for(width, height)
        focal = focal_scaling(request.settings.focal_scaling, request.view.camera, trained)
        scale = request.settings.depth_scale * focal.factor
        grid = self._grid(request.settings, (height, width))
        # Evidence of scale is of whole images; without it only the published pixels are scaled.
        depth = prediction.depth if request.scale is not None else grid.of(prediction.depth)
        metres = depth if scale == 1.0 else depth * np.float32(scale)
        estimate = _metric_scale(request, metres, scale, self._model.info.metric)
        if request.scale is not None:
            metres = grid.of(metres)
        if estimate is not None and estimate.factor != 1.0:
            metres, scale = metres * np.float32(estimate.factor), scale * estimate.factor
        return DepthFrame(
            request,
            prepared.rgb,
            metres,
            scale,
            self._projector,
            focal,
            estimate,
            grid,
            prediction.relative_deviation,
            self._features(prediction),
            depth_grid("network", (metres.shape[0], metres.shape[1]), self._network_grid()),
            self._finder,
        )

    def _features(self, prediction: Prediction) -> LanguageFeatures | None:
        language = self._model.info.language
        if language is None:
            return None
        return LanguageFeatures(prediction.embedding, prediction.dense, language.logit_scale)


def made_outputs(frame: DepthFrame) -> Iterator[tuple[str, Any]]:
    """Yield the name and array or scan of each output that the frame's request wants, each made when its turn comes.

    So the first can be on its way while the next is made. Those that this frame does not give are left out;
    ``frame.left_out`` then says why.
    """
    frame.request.watch.restart()
    _ = frame.depth
    frame.request.watch.lap("range")
    for name, output in OUTPUTS.items():
        if name in frame.request.outputs:
            made = output.compute(frame)
            if made is not None:
                yield name, made


def _metric_scale(
    request: DepthRequest, metres: NDArray[np.float32], base: float, metric: bool
) -> ScaleEstimate | None:
    """Return what a frame's evidence says about the scale of its depth; None where nobody asked."""
    if request.scale is None:
        return None
    request.watch.restart()
    rectifier = request.view.rectifier
    if rectifier is not None and rectifier.outside is not None:
        metres = np.where(rectifier.outside, np.float32(np.nan), metres)
    estimate = request.scale.scale.estimate(metres, request.view.camera, request.scale.known, base, metric)
    request.watch.lap("scale")
    return estimate


def _rectified(request: DepthRequest) -> NDArray[np.uint8]:
    if request.view.rectifier is None:
        return request.rgb
    request.watch.restart()
    rgb = np.asarray(request.view.rectifier(request.rgb), np.uint8)
    request.watch.lap("rectify")
    return rgb
