"""What the outputs ask of whoever makes messages and takes them: ROS in the node, a bag's writer elsewhere."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.camera import PinholeCamera


class MessageMaker(Protocol):
    """Makes messages; each holds its pixels or points in a writable buffer of its own, ``data``."""

    def image(self, pixels: NDArray[Any], encoding: str, header: Any) -> Any:
        """Return a ``sensor_msgs/Image`` of an array of the encoding's dtype: 32FC1, 16UC1 or rgb8."""

    def camera_info(self, camera: PinholeCamera, header: Any) -> Any:
        """Return the ``sensor_msgs/CameraInfo`` of an undistorted image."""

    def cloud(self, points: NDArray[np.float32], header: Any) -> Any:
        """Return an organised ``sensor_msgs/PointCloud2`` of (h, w, 3 or 4) float32 points."""

    def dense_cloud(self, points: NDArray[np.float32], header: Any) -> Any:
        """Return a one-row cloud of the valid ones of such points."""


class Publisher(Protocol):
    """Takes an output's messages; the message may be changed as soon as ``publish`` returns."""

    def get_subscription_count(self) -> int:
        """Return how many want them; nothing is made for nobody."""

    def publish(self, message: Any) -> None:
        """Take one."""


def memory(message: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a message's data as a writable float32 array."""
    return np.frombuffer(message.data, np.float32).reshape(shape)
