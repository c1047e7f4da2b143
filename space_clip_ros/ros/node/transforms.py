"""Poses from TF. The library is imported when a pose is needed for the first time; most set-ups need none."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.time import Time

from space_clip_ros.errors import InputError, describe
from space_clip_ros.geometry.rigid import Matrix, pose_from_quaternion
from space_clip_ros.libraries import import_error

_LIBRARY = "tf2_ros"


class Transforms:
    """Listens to TF for a node.

    Args:
        node: the node to listen with.
    """

    def __init__(self, node: LifecycleNode) -> None:
        """Keep the node; :meth:`start` subscribes."""
        self._node = node
        self._library: Any = None
        self._buffer: Any = None
        self._listener: Any = None
        self._problem = "this node does not listen to TF"

    def start(self) -> None:
        """Subscribe to ``/tf`` and ``/tf_static``; again does nothing."""
        if self._listener is not None:
            return
        try:
            self._library = importlib.import_module(_LIBRARY)
        except ImportError as error:
            self._problem = f"{import_error(error, _LIBRARY).problem}; ROS 2's own packages have it, its wheels do not"
            return
        self._buffer = self._library.Buffer()
        self._listener = self._library.TransformListener(self._buffer, self._node)

    def forget(self) -> None:
        """Forget the poses of moving frames. After the clock jumped back, the newest is from before the jump."""
        if self._buffer is not None:
            self._buffer.clear()

    def stop(self) -> None:
        """Unsubscribe and forget."""
        if self._listener is not None:
            self._listener.unregister()
        self._listener = self._buffer = None

    def pose(self, parent: str, child: str) -> Matrix | str:
        """Return the newest pose of a frame in another one, (4, 4) metres, or why it is not known.

        Sensors are mounted firmly, or move slowly against an image's age, so that the newest pose is taken.

        Args:
            parent: the frame to give it in.
            child: the frame.
        """
        buffer = self._buffer
        if buffer is None:
            return self._problem
        if not child:
            return f"no frame_id to look up below {parent!r}"
        try:
            transform = buffer.lookup_transform(parent, child, Time()).transform
            position, turn = transform.translation, transform.rotation
            return pose_from_quaternion((position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w))
        except self._library.TransformException as error:
            return f"no transform from {child!r} to {parent!r} ({' '.join(str(error).split())[:120]})"
        except (InputError, ValueError) as error:
            return describe(error)
