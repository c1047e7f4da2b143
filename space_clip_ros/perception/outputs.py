"""The outputs; each is computed only while somebody wants it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import PointsConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector, without_discontinuities
from space_clip_ros.geometry.color import colorize
from space_clip_ros.geometry.depth import to_millimetres
from space_clip_ros.perception.frame import Frame
from space_clip_ros.perception.messages import MessageMaker, Publisher, memory


class Output(Protocol):
    """One topic made from a frame."""

    topic: str
    publisher: Publisher
    needs_camera: bool

    def publish(self, frame: Frame) -> None:
        """Compute and publish."""


class DepthOutput:
    """``depth/image``: 32FC1 metres or 16UC1 millimetres (REP 118)."""

    topic = "depth/image"
    needs_camera = False

    def __init__(self, publisher: Publisher, make: MessageMaker) -> None:
        """Publish with ``publisher`` what ``make`` makes."""
        self.publisher = publisher
        self._make = make

    def publish(self, frame: Frame) -> None:
        """Publish the frame's depth."""
        if frame.settings.depth_encoding == "16UC1":
            self.publisher.publish(self._make.image(to_millimetres(frame.depth), "16UC1", frame.header))
        else:
            self.publisher.publish(frame.depth_message())


class PointsOutput:
    """``depth/points``: a cloud in the camera's optical frame, organised or dense."""

    topic = "depth/points"
    needs_camera = True

    def __init__(self, publisher: Publisher, make: MessageMaker) -> None:
        """Publish with ``publisher`` what ``make`` makes."""
        self.publisher = publisher
        self._make = make
        self._projector: Projector | None = None
        self._message: Any = None
        self._points: NDArray[np.float32] = np.empty((0, 0, 3), np.float32)

    def publish(self, frame: Frame) -> None:
        """Project the frame's depth and publish it."""
        if frame.camera is None:
            return
        settings = frame.settings.points
        message = self._project(frame, frame.camera, settings)
        if settings.dense:
            message = self._make.dense_cloud(self._points, frame.header)
        message.header = frame.header
        self.publisher.publish(message)

    def _project(self, frame: Frame, camera: PinholeCamera, settings: PointsConfig) -> Any:
        if self._projector is None or (self._projector.camera, self._projector.stride) != (camera, settings.stride):
            self._projector = Projector(camera, settings.stride)
        self._reserve((*self._projector.shape, 4 if settings.color else 3), frame.header)
        depth = frame.unbounded_depth() if settings.clearing else frame.depth
        if settings.max_jump:
            depth = without_discontinuities(depth, settings.max_jump)
        self._projector.project(
            depth,
            frame.rgb if settings.color else None,
            settings.max_range,
            settings.clearing,
            out=self._points,
            heights=settings.heights,
            tested=True,
        )
        return self._message

    def _reserve(self, shape: tuple[int, int, int], header: Any) -> None:
        """Keep one message for all frames, and project into its own memory."""
        if self._points.shape != shape:
            self._message = self._make.cloud(np.zeros(shape, np.float32), header)
            self._points = memory(self._message, shape)


class ColorOutput:
    """``depth/color``: a picture for people, on the fixed scale ``min_depth`` to ``max_depth``."""

    topic = "depth/color"
    needs_camera = False

    def __init__(self, publisher: Publisher, make: MessageMaker) -> None:
        """Publish with ``publisher`` what ``make`` makes."""
        self.publisher = publisher
        self._make = make

    def publish(self, frame: Frame) -> None:
        """Colour the frame's depth and publish it."""
        settings = frame.settings
        picture = colorize(frame.depth, settings.color.colormap, settings.min_depth, settings.max_depth)
        self.publisher.publish(self._make.image(picture, "rgb8", frame.header))


class InfoOutput:
    """``depth/camera_info``: the camera of ``depth/image``, after rectification; needs no depth."""

    topic = "depth/camera_info"

    def __init__(self, publisher: Publisher, make: MessageMaker) -> None:
        """Publish with ``publisher`` what ``make`` makes."""
        self.publisher = publisher
        self._make = make

    def publish(self, camera: PinholeCamera, header: Any) -> None:
        """Publish a camera under the image's header."""
        self.publisher.publish(self._make.camera_info(camera, header))


class Outputs:
    """All outputs of one camera.

    Args:
        make: makes their messages.
        info: the camera's own output.
        images: those made from depth, in the order in which they are made.
    """

    def __init__(self, make: MessageMaker, info: InfoOutput, images: tuple[Output, ...]) -> None:
        """Keep the arguments."""
        self.make = make
        self.info = info
        self.images = images

    def wanted(self, camera_known: bool) -> list[Output]:
        """Return the outputs that somebody subscribes to and that can be made."""
        return [output for output in self.images if subscribed(output) and (camera_known or not output.needs_camera)]

    def camera_wanted(self) -> bool:
        """Tell whether anybody subscribes to what cannot be made without the camera's intrinsics."""
        return subscribed(self.info) or any(subscribed(output) for output in self.images if output.needs_camera)

    def subscribers(self) -> int:
        """Return how many subscribers all outputs have together."""
        publishers = [self.info.publisher, *(output.publisher for output in self.images)]
        return sum(publisher.get_subscription_count() for publisher in publishers)


def subscribed(output: Output | InfoOutput) -> bool:
    """Tell whether anybody subscribes to an output."""
    return bool(output.publisher.get_subscription_count())
