"""Image message in, outputs out: convert, compute, publish."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.inference.backend import ModelInfo, Prediction
from space_clip_ros.perception.calibration import Calibration, View
from space_clip_ros.perception.frame import DepthMessage, Frame, Stopwatch
from space_clip_ros.perception.outputs import Output, Outputs, subscribed


class Statistics(Protocol):
    """Is told how it went."""

    def note(self, problem: str) -> None:
        """Take down what is wrong, though the frame goes on."""

    def publish(self, age_ms: float, stages_ms: Mapping[str, float]) -> None:
        """Count a frame whose outputs are out."""


class Log(Protocol):
    """Says faults to a person."""

    def warning(self, kind: str, text: str) -> None:
        """Say one of the few kinds of faults, which may well be one of every frame."""


@dataclass(frozen=True)
class Prepared:
    """An image ready for the model.

    Attributes:
        header: the message's header.
        rgb: (H, W, 3) uint8, rectified where that applies.
        view: what is known about its camera.
        wanted: the outputs to make.
        settings: the parameters, the same for the whole frame.
        watch: times its stages.
    """

    header: Any
    rgb: NDArray[np.uint8]
    view: View
    wanted: list[Output]
    settings: NodeConfig
    watch: Stopwatch


class Pipeline:
    """What happens to one camera's images before and after the model, in one thread.

    Args:
        model: the model's facts.
        calibration: the camera's newest camera_info.
        outputs: the camera's outputs.
        statistics: told what happened.
        log: where faults are said.
        settings: returns the parameters of the moment; asked once a frame.
        age_ms: returns the age of a stamp, milliseconds.
        to_rgb: converts the topic's messages; gets the message and the topic's name.
        topic: resolved name of the image topic, for texts.

    Attributes:
        scale: the factor put on the newest frame's depth.
    """

    def __init__(
        self,
        model: ModelInfo,
        calibration: Calibration,
        outputs: Outputs,
        statistics: Statistics,
        log: Log,
        settings: Callable[[], NodeConfig],
        age_ms: Callable[[Any], float],
        to_rgb: Callable[[Any, str], NDArray[np.uint8]],
        topic: str,
    ) -> None:
        """Keep the arguments."""
        self._model = model
        self._calibration = calibration
        self._outputs = outputs
        self._statistics = statistics
        self._log = log
        self._settings = settings
        self._age_ms = age_ms
        self._to_rgb = to_rgb
        self._topic = topic
        self._buffer = DepthMessage(outputs.make)
        self.scale = 1.0

    def prepare(self, message: Any) -> Prepared | None:
        """Turn an ``Image`` or ``CompressedImage`` into what the model takes; None where no depth of it is wanted.

        Raises:
            InputError: the message is broken or holds no picture.
        """
        if not self._outputs.subscribers():
            return None
        watch = Stopwatch()
        settings = self._settings()
        rgb = self._to_rgb(message, self._topic)
        watch.lap("convert")
        header = message.header
        view = self._view(header.frame_id, rgb, settings)
        if view.camera is not None and subscribed(self._outputs.info):
            self._outputs.info.publish(view.camera, header)
        wanted = self._outputs.wanted(view.camera is not None)
        if not wanted:
            return None
        if view.rectifier is not None:
            rgb = np.asarray(view.rectifier(rgb), np.uint8)
            watch.lap("rectify")
        return Prepared(header, rgb, view, wanted, settings, watch)

    def complete(self, prepared: Prepared, prediction: Prediction) -> None:
        """Publish whatever is subscribed to."""
        watch, settings, view = prepared.watch, prepared.settings, prepared.view
        watch.stages_ms.update({f"engine/{name}": value for name, value in prediction.stages_ms.items()})
        self.scale = settings.depth_scale * self._focal_factor(view.camera, settings)
        metres = prediction.depth if self.scale == 1.0 else prediction.depth * np.float32(self.scale)
        outside = None if view.rectifier is None else view.rectifier.outside
        frame = Frame(prepared.header, prepared.rgb, metres, outside, view.camera, settings, self._buffer)
        _ = frame.depth
        watch.lap("range")
        for output in prepared.wanted:
            output.publish(frame)
            watch.lap(output.topic)
        self._statistics.publish(self._age_ms(prepared.header.stamp), watch.stages_ms)

    def _view(self, frame_id: str, rgb: NDArray[np.uint8], settings: NodeConfig) -> View:
        height, width = rgb.shape[:2]
        view = self._calibration.view(frame_id, width, height, settings.rectify)
        # A camera that never says its intrinsics is no fault while nobody needs them.
        needed = self._outputs.camera_wanted() or settings.focal_scaling or self._calibration.frames
        if view.problem and needed:
            self._statistics.note(view.problem)
            self._log.warning("camera_info", f"{view.problem}; depth goes on without a cloud")
        return view

    def _focal_factor(self, camera: PinholeCamera | None, settings: NodeConfig) -> float:
        trained = self._model.training_camera
        if not settings.focal_scaling:
            return 1.0
        if trained is None or camera is None:
            missing = "the camera's intrinsics" if camera is None else "the intrinsics of the camera it was trained on"
            self._log.warning("focal_scaling", f"focal_scaling needs {missing}; depth is not scaled for them")
            return 1.0
        return focal_factor(camera, trained)


def focal_factor(camera: PinholeCamera, trained: tuple[float, float, float, float]) -> float:
    """Return what depth must be multiplied by for a camera with another field of view, to first order.

    The network sees every image squeezed to one size, so an object of size S at depth Z covers (fx / width) * S / Z of
    the picture's width and (fy / height) * S / Z of its height. A camera with half the normalised focal length shows
    the object as one trained on would show it from twice as far. Judging by apparent area,

        Z = Z_network * sqrt((fx / width) * (fy / height) / ((fx_t / width_t) * (fy_t / height_t)))

    where t marks the training camera. It corrects scale only, not what the network makes of another perspective.

    Args:
        camera: the camera in use.
        trained: width, height, fx, fy of the training camera, pixels.
    """
    width, height, fx, fy = trained
    area = (camera.fx / camera.width) * (camera.fy / camera.height)
    trained_area = (fx / width) * (fy / height)
    return math.sqrt(area / trained_area)
