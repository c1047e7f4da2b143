"""Runs the original third-party file, with its pre- and postprocessing in NumPy and OpenCV.

The wrapped graph is compared with this, so the two share no code except Pillow's resize matrix.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from space_clip_ros.errors import ExportError, ModelError, first_line
from space_clip_ros.export.adopt_recipe import Recipe
from space_clip_ros.export.adopt_third_party import ThirdPartyModel
from space_clip_ros.export.resize_matrix import resize_matrix
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.inference.onnx_sessions import quiet_options

_CV_MODES = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


class OriginalSession:
    """The original file in ONNX Runtime, on the CPU."""

    def __init__(self, source: ThirdPartyModel, profile_folder: str = "") -> None:
        """Open the file.

        Raises:
            ModelError: ONNX Runtime cannot run it.
        """
        self._source = source
        options = quiet_options()
        if profile_folder:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(profile_folder, "run"))
            # no optimisation, so that every product stays one operator
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(str(source.file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's own errors share no base class
            raise ModelError(source.file, f"ONNX Runtime cannot run it ({first_line(error)})") from error

    def run(self, pixels: NDArray[np.generic]) -> dict[str, NDArray[Any]]:
        """Run on the network's own input and return every output by name.

        Raises:
            ExportError: the run failed.
        """
        source = self._source
        try:
            arrays = self._session.run(None, {source.image: pixels, **source.constants})
        except Exception as error:
            reason = f"fails on an input of shape {pixels.shape} ({first_line(error)})"
            raise ExportError(source.file, reason, "give another --size or --multiple") from error
        return dict(zip(source.outputs, arrays, strict=True))

    def end_profile(self) -> list[dict[str, Any]]:
        """Return the profile's events."""
        events: list[dict[str, Any]] = json.loads(Path(self._session.end_profiling()).read_text(encoding="utf-8"))
        return events


def network_input(source: ThirdPartyModel, recipe: Recipe, image: Rgb) -> NDArray[np.generic]:
    """Return the network's input for one image, (H, W, 3) uint8 RGB, repeated if the network takes several."""
    rows, columns = recipe.network_size.content(*image.shape[:2])
    pixels = _resized(image.astype(np.float32), rows, columns, recipe)
    if recipe.rule == "pad":
        network = recipe.network_size
        canvas = np.tile(np.asarray(recipe.border, np.float32), (network.height, network.width, 1))
        top, left = (network.height - rows) // 2, (network.width - columns) // 2
        canvas[top : top + rows, left : left + columns] = pixels
        pixels = canvas
    if source.element == TensorProto.UINT8:
        pixels = np.clip(np.rint(pixels), 0, 255)
    else:
        pixels = (pixels / 255.0 - np.asarray(recipe.mean)) / np.asarray(recipe.std)
    pixels = pixels[..., ::-1] if recipe.channels == "bgr" else pixels
    laid_out = pixels if source.layout == "NHWC" else pixels.transpose(2, 0, 1)
    laid_out = np.ascontiguousarray(laid_out.astype(helper.tensor_dtype_to_np_dtype(source.element)))
    for _ in range(source.rank - 3):
        laid_out = laid_out[None]
    return np.repeat(laid_out, source.batch or 1, axis=0) if source.rank > 3 else laid_out


def reference_depth(session: OriginalSession, source: ThirdPartyModel, recipe: Recipe, image: Rgb) -> list[Depth]:
    """Return the depth of one image, (H, W) float32 metres, and its uncertainty as a share if the recipe has it."""
    outputs = session.run(network_input(source, recipe, image))
    raw = _map(outputs, source, recipe, recipe.depth_output or source.outputs[0], recipe.channel, image)
    height, width = image.shape[:2]
    maps = [_metres(_enlarged(raw, height, width, recipe.align_corners), recipe)]
    if recipe.uncertainty_output:
        second = _map(outputs, source, recipe, recipe.uncertainty_output, None, image)
        maps.append(np.maximum(_share(second, raw, recipe) * recipe.uncertainty_scale, 0.0))
    return [np.asarray(values, np.float32) for values in maps]


def median_output(session: OriginalSession, source: ThirdPartyModel, recipe: Recipe, images: list[Rgb]) -> float:
    """Return the median of the depth output over images, which sets the scale of relative networks."""
    maps = [
        _map(
            session.run(network_input(source, recipe, image)),
            source,
            recipe,
            recipe.depth_output or source.outputs[0],
            recipe.channel,
            image,
        )
        for image in images
    ]
    return float(np.median(np.concatenate([depth.ravel() for depth in maps])))


def _resized(pixels: NDArray[np.float32], rows: int, columns: int, recipe: Recipe) -> NDArray[np.float32]:
    if not recipe.antialias:
        return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=_CV_MODES[recipe.interpolation]))
    height, width = pixels.shape[:2]
    across = resize_matrix(width, columns, recipe.interpolation, True)
    down = resize_matrix(height, rows, recipe.interpolation, True)
    narrow = np.clip(np.einsum("hwc,vw->hvc", pixels, across), 0.0, 255.0)
    return np.asarray(np.clip(np.einsum("hvc,uh->uvc", narrow, down), 0.0, 255.0), np.float32)


def _map(
    outputs: dict[str, NDArray[Any]],
    source: ThirdPartyModel,
    recipe: Recipe,
    name: str,
    channel: int | None,
    image: Rgb,
) -> NDArray[np.float64]:
    """Return the first image's map, (h, w), without the border."""
    values = np.asarray(outputs[name], np.float64)
    if source.rank > 3 and values.ndim > 2:
        values = values[0]
    if channel is not None:
        last = values.shape[-1] <= 4
        values = values[..., channel] if last else np.take(values, channel, axis=-3)
    values = values.reshape([length for length in values.shape if length > 1][-2:])
    if recipe.rule != "pad":
        return values
    network = recipe.network_size
    rows, columns = network.content(*image.shape[:2])
    if values.shape != (network.height, network.width):
        values = _enlarged(values, network.height, network.width, recipe.align_corners)
    top, left = (network.height - rows) // 2, (network.width - columns) // 2
    return values[top : top + rows, left : left + columns]


def _enlarged(values: NDArray[np.float64], height: int, width: int, align_corners: bool) -> NDArray[np.float64]:
    """Resize bilinearly."""
    along = [_between(*pair, align_corners) for pair in zip(values.shape, (height, width), strict=True)]
    (top, bottom, down), (left, right, across) = along
    upper = values[top][:, left] * (1 - across) + values[top][:, right] * across
    lower = values[bottom][:, left] * (1 - across) + values[bottom][:, right] * across
    return np.asarray(upper * (1 - down)[:, None] + lower * down[:, None])


def _between(
    size_in: int, size_out: int, align_corners: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    index = np.arange(size_out)
    if align_corners:
        centres = index * ((size_in - 1) / max(size_out - 1, 1))
    else:
        centres = (index + 0.5) * (size_in / size_out) - 0.5
    centres = np.clip(centres, 0, size_in - 1)
    first = np.floor(centres).astype(np.int64)
    return first, np.minimum(first + 1, size_in - 1), centres - first


def _metres(raw: NDArray[np.float64], recipe: Recipe) -> NDArray[np.float64]:
    scaled = raw * (1.0 if recipe.scale is None else recipe.scale) + recipe.shift
    if recipe.inverse:
        return np.asarray(1.0 / np.maximum(scaled, 1.0 / (recipe.max_depth or 1.0)))
    return np.maximum(scaled, 0.0)


def _share(second: NDArray[np.float64], raw: NDArray[np.float64], recipe: Recipe) -> NDArray[np.float64]:
    """Return a second output as a share of depth, before its factor."""
    if recipe.uncertainty == "metres":
        return np.asarray(second / np.maximum(_metres(raw, recipe), 1e-6))
    if recipe.uncertainty == "confidence":
        return 1.0 - second
    return second if recipe.uncertainty == "share" else 1.0 / np.maximum(second, 1e-6)


def profile(source: ThirdPartyModel, pixels: NDArray[np.generic]) -> list[dict[str, Any]]:
    """Return the profile's events of one run, with every operator as in the file."""
    with TemporaryDirectory(prefix="space_clip_adopt_") as folder:
        session = OriginalSession(source, profile_folder=folder)
        session.run(pixels)
        return session.end_profile()
