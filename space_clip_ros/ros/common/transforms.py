"""A node's transforms, by tf2. Every ROS 2 on a robot has it; the wheels have not."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from space_clip_ros.errors import InputError, describe
from space_clip_ros.geometry.rigid import pose_from_quaternion, quaternion

Pose = NDArray[np.float64]
_LONGEST_REASON = 120


class Transforms:
    """Reads and publishes transforms. tf2 is imported, and /tf used, only once that is asked for.

    Args:
        node: the node that reads and publishes them.

    Attributes:
        missing: why tf2 cannot be used; empty if it can, or as long as nobody asked.
    """

    def __init__(self, node: Node) -> None:
        """Keep the node."""
        self._node = node
        self._tf2: Any = None
        self._buffer: Any = None
        self._listener: Any = None
        self._broadcaster: Any = None
        self.missing = ""

    def listen(self) -> None:
        """Subscribe to /tf and /tf_static, if that is not done yet; only from the executor's thread."""
        if self._listener is None and self._import():
            self._buffer = self._tf2.Buffer()
            self._listener = self._tf2.TransformListener(self._buffer, self._node)

    def advertise(self) -> None:
        """Make the publisher of /tf, if there is none yet; only from the executor's thread."""
        if self._broadcaster is None and self._import():
            self._broadcaster = self._tf2.TransformBroadcaster(self._node)

    def pose(self, frame_id: str, parent: str) -> Pose | str:
        """Return the newest pose of a frame in another, (4, 4) metres, or why it is not known.

        Sensors are mounted firmly, or move slowly against an image's age, so that the newest pose is taken.

        Args:
            frame_id: the frame.
            parent: the frame to express it in.
        """
        buffer = self._buffer
        if buffer is None:
            return self.missing or "TF is not listened to"
        if not frame_id:
            return f"no frame_id to look up below {parent!r}"
        try:
            transform = buffer.lookup_transform(parent, frame_id, Time()).transform
            turn, place = transform.rotation, transform.translation
            return pose_from_quaternion((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
        except self._tf2.TransformException as error:
            return f"no transform from {frame_id!r} to {parent!r} ({' '.join(str(error).split())[:_LONGEST_REASON]})"
        except InputError as error:
            return describe(error)

    def publish(self, pose: Pose, frame_id: str, header: Header) -> None:
        """Publish a frame's pose, (4, 4), in the header's frame and at its stamp; nothing without tf2."""
        if self._broadcaster is None:
            return
        message = TransformStamped(header=header, child_frame_id=frame_id)
        turn, place = message.transform.rotation, message.transform.translation
        turn.x, turn.y, turn.z, turn.w = quaternion(pose[:3, :3])
        place.x, place.y, place.z = (float(value) for value in pose[:3, 3])
        self._broadcaster.sendTransform(message)

    def close(self) -> None:
        """Unsubscribe and destroy the publisher."""
        if self._listener is not None:
            self._listener.unregister()
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster.pub_tf)
        self._buffer = self._listener = self._broadcaster = None

    def _import(self) -> bool:
        if self._tf2 is None and not self.missing:
            try:
                self._tf2 = importlib.import_module("tf2_ros")
            except Exception as error:
                self.missing = f"tf2_ros cannot be imported ({describe(error)}); install ros-$ROS_DISTRO-tf2-ros-py"
        return self._tf2 is not None
