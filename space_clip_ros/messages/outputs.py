"""The output topics, and the messages built from the core's arrays.

To add an output that :mod:`space_clip_ros.perception.outputs` computes, give its name a row in :data:`TOPICS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from space_clip_ros.messages.camera_info import camera_info_from_camera
from space_clip_ros.messages.clouds import cloud_from_points, cloud_from_tokens
from space_clip_ros.messages.images import header_at, image_from_array
from space_clip_ros.messages.laser_scans import laser_scan_from_scan
from space_clip_ros.messages.semantics import (
    detections_from_objects,
    label_info_from_names,
    markers_from_objects,
    multi_array_from_embedding,
)
from space_clip_ros.messages.types import ROS, MessageTypes


@dataclass(frozen=True)
class OutputTopic:
    """An output's topic and message.

    Attributes:
        topic: relative name of the topic.
        kind: its message type.
        build: makes the message from the output's value, a header and message types.
        latched: whether it is published only when it changes, and late subscribers get the newest message.
        optional: whether its message package may be missing; then the other outputs are published without it.
    """

    topic: str
    kind: str
    build: Callable[[Any, Any, MessageTypes], Any]
    latched: bool = False
    optional: bool = False


def _camera_info(camera: Any, header: Any, types: MessageTypes) -> Any:
    return camera_info_from_camera(camera, header, types=types)


def _image(pixels: NDArray[Any], header: Any, types: MessageTypes) -> Any:
    encoding = {"float32": "32FC1", "uint16": "16UC1", "uint8": "rgb8" if pixels.ndim == 3 else "mono8"}[
        pixels.dtype.name
    ]
    return image_from_array(pixels, encoding, header, types)


def _tokens(tokens: Any, header: Any, types: MessageTypes) -> Any:
    return cloud_from_tokens(tokens.points, tokens.features, header, types)


CAMERA_INFO = "camera_info"
"""The output that is a camera, not an array; it is known before depth."""
LABEL_INFO = "label_info"
"""The output that names the labels: it changes with the queries, not with the images."""

TOPICS: dict[str, OutputTopic] = {
    "depth": OutputTopic("depth/image", "sensor_msgs/msg/Image", _image),
    CAMERA_INFO: OutputTopic("depth/camera_info", "sensor_msgs/msg/CameraInfo", _camera_info),
    "points": OutputTopic("depth/points", "sensor_msgs/msg/PointCloud2", cloud_from_points),
    "color": OutputTopic("depth/color", "sensor_msgs/msg/Image", _image),
    "uncertainty": OutputTopic("depth/uncertainty", "sensor_msgs/msg/Image", _image),
    "obstacles": OutputTopic("depth/obstacles", "sensor_msgs/msg/PointCloud2", cloud_from_points),
    "scan": OutputTopic("depth/scan", "sensor_msgs/msg/LaserScan", laser_scan_from_scan),
    "labels": OutputTopic("semantic/labels", "sensor_msgs/msg/Image", _image),
    "confidence": OutputTopic("semantic/confidence", "sensor_msgs/msg/Image", _image),
    LABEL_INFO: OutputTopic(
        "semantic/label_info", "vision_msgs/msg/LabelInfo", label_info_from_names, latched=True, optional=True
    ),
    "detections": OutputTopic(
        "semantic/detections", "vision_msgs/msg/Detection3DArray", detections_from_objects, optional=True
    ),
    "markers": OutputTopic("semantic/markers", "visualization_msgs/msg/MarkerArray", markers_from_objects),
    "tokens": OutputTopic("semantic/tokens", "sensor_msgs/msg/PointCloud2", _tokens),
    "embedding": OutputTopic("semantic/embedding", "std_msgs/msg/Float32MultiArray", multi_array_from_embedding),
}


class MessageMemory:
    """A message whose array is written in place.

    Args:
        message: the message, with ``data`` of the array's size.
        shape: the array's shape.
        dtype: its dtype.

    Attributes:
        array: the array, in the message's memory.
    """

    def __init__(self, message: Any, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Make the array a view of the message's data."""
        self._message = message
        self.array: NDArray[Any] = np.frombuffer(message.data, dtype).reshape(shape)

    def with_header(self, header: Any) -> Any:
        """Return the message with another header."""
        self._message.header = header
        return self._message


class OutputMessages:
    """Makes one camera's messages. Arrays allocated here are published without another copy.

    Publishing serialises before it returns, so one message serves all images of a thread.

    Args:
        types: where the messages' classes come from.
        memory: keeps a message with its array, as :class:`MessageMemory` does; what its ``with_header`` returns is
            what :meth:`message` returns.
    """

    def __init__(self, types: MessageTypes = ROS, memory: Callable[..., Any] = MessageMemory) -> None:
        """Start without memory."""
        self._types = types
        self._memory = memory
        self._kept: dict[str, Any] = {}

    def allocate(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an output's array, in the memory of its last message while shape and dtype stay the same."""
        kept = self._kept.get(name)
        if kept is None or kept.array.shape != shape or kept.array.dtype != dtype:
            message = TOPICS[name].build(np.zeros(shape, dtype), header_at(0, "", self._types), self._types)
            kept = self._kept[name] = self._memory(message, shape, dtype)
        array: NDArray[Any] = kept.array
        return array

    def message(self, name: str, value: Any, header: Any) -> Any:
        """Return an output's message; if :meth:`allocate` made its array, the next image overwrites it.

        Args:
            name: one of :data:`TOPICS`.
            value: the array, the camera for :data:`CAMERA_INFO`, or the scan.
            header: the image's header.
        """
        kept = self._kept.get(name)
        if kept is None or value is not kept.array:
            return TOPICS[name].build(value, header, self._types)
        return kept.with_header(header)
