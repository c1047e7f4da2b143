"""The interface of every inference backend, and the facts of a loaded model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth, resize_bilinear
from space_clip_ros.geometry.focal_factor import TrainingCamera, training_camera_at
from space_clip_ros.geometry.network_size import NetworkSize
from space_clip_ros.inference.metadata import DENSE_NAME, EMBEDDING_NAME, OUTPUT_NAME, UNCERTAINTY_NAME
from space_clip_ros.model_config import AdoptedConfig, LanguageConfig, ModelConfig


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model.

    Attributes:
        name: the model's own name.
        backend: name of the backend that runs it, such as onnxruntime.
        device: cpu or cuda:N.
        precision: fp32, fp16 or int8.
        input_size: height and width that the network sees, pixels.
        min_depth: smallest depth trained for, metres.
        max_depth: largest depth trained for, metres.
        training_camera: width, height, fx, fy of the camera trained on, pixels; None if unknown.
        fixed_size: height and width of the only images it takes, pixels; None if it takes any size.
        file: where it came from.
        fixed_batch: number of images in every run; None if it takes any number.
        passed_over: what was not used, each with the reason.
        error_change: abs_rel of this file over that of the model it was made from, minus 1; None if not measured.
        depth_grid: rows and columns of the depth that the network itself makes, before it is resized to the image;
            None for those of its input.
        uncertainty: whether the model also says how far off depth may be.
        language: what the model says in a space that it shares with words; None if nothing.
        metric: whether depth is in metres; if not, it is right up to a factor, which ``scale.mode`` can find.
        network_size: the size that the network takes images at, and what happens to their shape; None for input_size.
    """

    name: str
    backend: str
    device: str
    precision: str
    input_size: tuple[int, int]
    min_depth: float
    max_depth: float
    training_camera: tuple[float, float, float, float] | None
    fixed_size: tuple[int, int] | None
    file: Path
    fixed_batch: int | None = None
    passed_over: tuple[str, ...] = ()
    error_change: float | None = None
    depth_grid: tuple[int, int] | None = None
    uncertainty: bool = False
    language: LanguageConfig | None = None
    metric: bool = True
    network_size: NetworkSize | None = None

    def trained_for(self, width: int, height: int) -> TrainingCamera | None:
        """Return the training camera as images of a size are compared with it, for a network that keeps their shape.

        Args:
            width: of the images, pixels.
            height: of the images, pixels.

        Returns:
            Width, height, fx, fy; None if the training camera is unknown.
        """
        if self.training_camera is None or self.network_size is None:
            return self.training_camera
        return training_camera_at(self.training_camera, self.network_size, width, height)

    @property
    def units_text(self) -> str:
        """A warning about the unit of depth; empty if it is in metres."""
        return "" if self.metric else f"{self.name}: {RELATIVE}"


RELATIVE = "depth is relative, not metric: it is in metres only with scale.mode"
"""The warning about a model whose depth has no unit."""


class Prediction(NamedTuple):
    """One image's result.

    Attributes:
        depth: (H, W) float32 metres, the caller's own array. PyTorch on a GPU gives page-locked memory, which it keeps
            for later maps and never gives back to the system: copy the maps of which you keep many.
        stages_ms: stage to milliseconds, in order: ``copy_in``, ``inference`` and, if the backend copies depth in a
            step of its own, ``copy_out``.
        relative_deviation: (h, w) float32, one standard deviation as a share of depth, over the whole image but at the
            size that the network makes it; None if the model gives none (``ModelInfo.uncertainty``).
        embedding: (D,) float32 of length 1, the image in the space of ``ModelInfo.language``; None if not given.
        dense: (rows, columns, D) float32 of length 1, the same for each patch of the image; None if not given.
    """

    depth: Depth
    stages_ms: dict[str, float]
    relative_deviation: Depth | None = None
    embedding: Depth | None = None
    dense: Depth | None = None

    @property
    def uncertainty(self) -> Depth | None:
        """One standard deviation of depth, (H, W) float32 metres, computed at each call; None if the model has none."""
        if self.relative_deviation is None:
            return None
        height, width = self.depth.shape
        return np.asarray(self.depth * resize_bilinear(self.relative_deviation, width, height), np.float32)


class Backend(Protocol):
    """Runs one model on images that the predictor has checked.

    Attributes:
        info: the model's facts.
    """

    info: ModelInfo

    def run(self, image: Rgb, language: bool = True) -> Prediction:
        """Estimate depth for a (H, W, 3) uint8 RGB image of any memory layout; safe to call from several threads.

        Without ``language``, the backend may leave the language features out.

        Raises:
            BackendError: the run failed.
            DeviceLostError: it failed so that only a new process can use the GPU again.
        """
        ...

    def close(self) -> None:
        """Free what the backend holds."""
        ...


@runtime_checkable
class BatchBackend(Backend, Protocol):
    """A backend that runs several images at once, faster than one by one."""

    def run_batch(self, images: Sequence[Rgb], language: bool = True) -> list[Prediction]:
        """Estimate depth for images of one size; as :meth:`Backend.run` for each.

        Raises:
            BackendError: the run failed.
        """
        ...


def model_info(
    config: ModelConfig | AdoptedConfig,
    *,
    backend: str,
    device: str,
    precision: str,
    fixed_size: tuple[int, int] | None,
    file: Path,
    fixed_batch: int | None = None,
    error_change: float | None = None,
) -> ModelInfo:
    """Return the facts of a model of this configuration."""
    camera = None
    if config.training_camera:
        width, height, fx, fy = config.training_camera
        camera = (width, height, fx, fy)
    return ModelInfo(
        name=config.name,
        backend=backend,
        device=device,
        precision=precision,
        input_size=config.input_size,
        min_depth=config.min_depth,
        max_depth=config.max_depth,
        training_camera=camera,
        fixed_size=fixed_size,
        file=file,
        fixed_batch=fixed_batch,
        error_change=error_change,
        depth_grid=config.depth_grid,
        uncertainty=config.uncertainty,
        language=config.language if config.language.outputs else None,
        metric=config.metric,
        network_size=network_size(config),
    )


def network_size(config: ModelConfig | AdoptedConfig) -> NetworkSize | None:
    """Return the size that a network takes images at if it keeps their shape; None if it squeezes them into one."""
    if isinstance(config, ModelConfig) or config.resize_rule == "straight":
        return None
    return NetworkSize(*config.input_size, config.resize_rule, config.multiple)


def prediction(maps: Mapping[str, Depth], stages_ms: dict[str, float]) -> Prediction:
    """Return the prediction of an image's maps, which have the names of the graph's outputs."""
    more = (maps.get(name) for name in (UNCERTAINTY_NAME, EMBEDDING_NAME, DENSE_NAME))
    return Prediction(maps[OUTPUT_NAME], stages_ms, *more)
