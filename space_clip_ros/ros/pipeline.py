"""Image message in, outputs out: convert, compute, publish."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.inference.predictor import Predictor
from space_clip_ros.ros.calibration import Calibration, View
from space_clip_ros.ros.frame import DepthMessage, Frame, Stopwatch
from space_clip_ros.ros.outputs import Outputs, subscribed
from space_clip_ros.ros.statistics import Statistics
from space_clip_ros.ros.throttle import ThrottledLog


class Pipeline:
    """Everything that happens to one camera's images, in the worker's thread.

    Args:
        predictor: the loaded model.
        calibration: the camera's newest camera_info.
        outputs: the camera's publishers.
        statistics: told what happened.
        log: where faults are said.
        settings: returns the parameters of the moment; asked once a frame.
        age_ms: returns the age of a stamp by the node's clock, milliseconds.
        to_rgb: converts the topic's messages; gets the message and the topic's name.
        topic: resolved name of the image topic, for texts.

    Attributes:
        scale: the factor put on the newest frame's depth.
    """

    def __init__(
        self,
        predictor: Predictor,
        calibration: Calibration,
        outputs: Outputs,
        statistics: Statistics,
        log: ThrottledLog,
        settings: Callable[[], NodeConfig],
        age_ms: Callable[[Any], float],
        to_rgb: Callable[[Any, str], NDArray[np.uint8]],
        topic: str,
    ) -> None:
        """Keep the arguments."""
        self._predictor = predictor
        self._calibration = calibration
        self._outputs = outputs
        self._statistics = statistics
        self._log = log
        self._settings = settings
        self._age_ms = age_ms
        self._to_rgb = to_rgb
        self._topic = topic
        self._buffer = DepthMessage()
        self.scale = 1.0

    def process(self, message: Any) -> None:
        """Turn one ``Image`` or ``CompressedImage`` into whatever is subscribed to."""
        if not self._outputs.subscribers():
            return
        watch = Stopwatch()
        settings = self._settings()
        rgb = self._convert(message)
        if rgb is None:
            return
        watch.lap("convert")
        header = message.header
        view = self._view(header.frame_id, rgb, settings)
        if view.camera is not None and subscribed(self._outputs.info):
            self._outputs.info.publish(view.camera, header)
        wanted = self._outputs.wanted(view.camera is not None)
        if not wanted:
            return
        frame = self._compute(header, rgb, view, settings, watch)
        for output in wanted:
            output.publish(frame)
            watch.lap(output.topic)
        self._statistics.publish(self._age_ms(header.stamp), watch.stages_ms)

    def _convert(self, message: Any) -> NDArray[np.uint8] | None:
        try:
            return self._to_rgb(message, self._topic)
        except InputError as error:
            self._statistics.drop("bad image", str(error))
            self._log.warning("bad image", f"image left out: {error}")
            return None

    def _view(self, frame_id: str, rgb: NDArray[np.uint8], settings: NodeConfig) -> View:
        height, width = rgb.shape[:2]
        view = self._calibration.view(frame_id, width, height, settings.rectify)
        # A camera that never says its intrinsics is no fault while nobody needs them.
        needed = self._outputs.camera_wanted() or settings.focal_scaling or self._calibration.frames
        if view.problem and needed:
            self._statistics.note(view.problem)
            self._log.warning("camera_info", f"{view.problem}; depth goes on without a cloud")
        return view

    def _compute(
        self, header: Any, rgb: NDArray[np.uint8], view: View, settings: NodeConfig, watch: Stopwatch
    ) -> Frame:
        outside = None
        if view.rectifier is not None:
            rgb = np.asarray(view.rectifier(rgb), np.uint8)
            outside = view.rectifier.outside
            watch.lap("rectify")
        prediction = self._predictor.run(rgb)
        watch.lap("engine")
        watch.stages_ms.update({f"engine/{name}": value for name, value in prediction.stages_ms.items()})
        self.scale = settings.depth_scale * self._focal_factor(view.camera, settings)
        metres = prediction.depth if self.scale == 1.0 else prediction.depth * np.float32(self.scale)
        frame = Frame(header, rgb, metres, outside, view.camera, settings, self._buffer)
        _ = frame.depth
        watch.lap("range")
        return frame

    def _focal_factor(self, camera: PinholeCamera | None, settings: NodeConfig) -> float:
        trained = self._predictor.info.training_camera
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
