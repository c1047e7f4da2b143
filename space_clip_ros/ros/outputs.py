"""What the node publishes; each output is computed only while somebody subscribes to it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.config import PointsConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector, without_discontinuities
from space_clip_ros.geometry.color import colorize
from space_clip_ros.geometry.depth import to_millimetres
from space_clip_ros.ros.frame import Frame, memory
from space_clip_ros.ros.messages import camera_info_from_camera, cloud_from_points, dense_cloud, image_from_array
from space_clip_ros.ros.qos import publisher_events, qos_overrides
from space_clip_ros.ros.throttle import ThrottledLog

_DEPTH = 2


class Output(Protocol):
    """One topic made from a frame."""

    topic: str
    publisher: Any
    needs_camera: bool

    def publish(self, frame: Frame) -> None:
        """Compute and publish."""


class DepthOutput:
    """``depth/image``: 32FC1 metres or 16UC1 millimetres (REP 118)."""

    topic = "depth/image"
    needs_camera = False

    def __init__(self, publisher: Any) -> None:
        """Publish with ``publisher``."""
        self.publisher = publisher

    def publish(self, frame: Frame) -> None:
        """Publish the frame's depth."""
        if frame.settings.depth_encoding == "16UC1":
            self.publisher.publish(image_from_array(to_millimetres(frame.depth), "16UC1", frame.header))
        else:
            self.publisher.publish(frame.depth_message())


class PointsOutput:
    """``depth/points``: a cloud in the camera's optical frame, organised or dense."""

    topic = "depth/points"
    needs_camera = True

    def __init__(self, publisher: Any) -> None:
        """Publish with ``publisher``."""
        self.publisher = publisher
        self._projector: Projector | None = None
        self._message = PointCloud2()
        self._points: NDArray[np.float32] = np.empty((0, 0, 3), np.float32)

    def publish(self, frame: Frame) -> None:
        """Project the frame's depth and publish it."""
        if frame.camera is None:
            return
        settings = frame.settings.points
        message = self._project(frame, frame.camera, settings)
        if settings.dense:
            message = dense_cloud(self._points, frame.header)
        message.header = frame.header
        self.publisher.publish(message)

    def _project(self, frame: Frame, camera: PinholeCamera, settings: PointsConfig) -> PointCloud2:
        if self._projector is None or (self._projector.camera, self._projector.stride) != (camera, settings.stride):
            self._projector = Projector(camera, settings.stride)
        self._reserve((*self._projector.shape, 4 if settings.color else 3))
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
        )
        return self._message

    def _reserve(self, shape: tuple[int, int, int]) -> None:
        """Keep one message for all frames, and project into its own memory."""
        if self._points.shape != shape:
            self._message = cloud_from_points(np.zeros(shape, np.float32), Header())
            self._points = memory(self._message, shape)


class ColorOutput:
    """``depth/color``: a picture for people, on the fixed scale ``min_depth`` to ``max_depth``."""

    topic = "depth/color"
    needs_camera = False

    def __init__(self, publisher: Any) -> None:
        """Publish with ``publisher``."""
        self.publisher = publisher

    def publish(self, frame: Frame) -> None:
        """Colour the frame's depth and publish it."""
        settings = frame.settings
        picture = colorize(frame.depth, settings.color.colormap, settings.min_depth, settings.max_depth)
        self.publisher.publish(image_from_array(picture, "rgb8", frame.header))


class InfoOutput:
    """``depth/camera_info``: the camera of ``depth/image``, after rectification; needs no depth."""

    topic = "depth/camera_info"

    def __init__(self, publisher: Any) -> None:
        """Publish with ``publisher``."""
        self.publisher = publisher

    def publish(self, camera: PinholeCamera, header: Any) -> None:
        """Publish a camera under the image's header."""
        self.publisher.publish(camera_info_from_camera(camera, header))


class Outputs:
    """All publishers of one camera.

    Args:
        node: whose topics they are.
        prefix: what goes before the topics' names: ``front/`` for the camera front of several, else nothing.
        log: where subscribers that ask for another QoS are named.
    """

    def __init__(self, node: LifecycleNode, prefix: str, log: ThrottledLog) -> None:
        """Create the publishers, all or none; they publish only while the node is active."""
        self._node = node
        self._prefix = prefix
        self._log = log
        self._publishers: list[Any] = []
        try:
            self.info = InfoOutput(self._create(CameraInfo, InfoOutput.topic))
            # Depth goes first: it is what most wait for, and a cloud takes the bus for longer.
            self.images: tuple[Output, ...] = (
                DepthOutput(self._create(Image, DepthOutput.topic)),
                PointsOutput(self._create(PointCloud2, PointsOutput.topic)),
                ColorOutput(self._create(Image, ColorOutput.topic)),
            )
        except Exception:
            self.destroy()
            raise

    def wanted(self, camera_known: bool) -> list[Output]:
        """Return the outputs that somebody subscribes to and that can be made."""
        return [output for output in self.images if subscribed(output) and (camera_known or not output.needs_camera)]

    def camera_wanted(self) -> bool:
        """Tell whether anybody subscribes to what cannot be made without the camera's intrinsics."""
        return subscribed(self.info) or any(subscribed(output) for output in self.images if output.needs_camera)

    @property
    def topics(self) -> tuple[str, ...]:
        """Resolved names of the topics made from depth."""
        return tuple(output.publisher.topic_name for output in self.images)

    def subscribers(self) -> int:
        """Return how many subscribers all outputs have together."""
        return sum(int(publisher.get_subscription_count()) for publisher in self._publishers)

    def destroy(self) -> None:
        """Take the topics back."""
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.pop())

    def _create(self, kind: type, topic: str) -> Any:
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.VOLATILE,
        )
        name = f"{self._prefix}{topic}"
        publisher: Any = self._node.create_lifecycle_publisher(
            kind,
            name,
            qos,
            event_callbacks=publisher_events(self._node, name, qos, self._log),
            qos_overriding_options=qos_overrides(),
        )
        self._publishers.append(publisher)
        return publisher


def subscribed(output: Output | InfoOutput) -> bool:
    """Tell whether anybody subscribes to an output."""
    return bool(output.publisher.get_subscription_count())
