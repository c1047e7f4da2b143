"""Publishes on TF where the level frame of a camera's scan lies."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.geometry.rigid import quaternion
from space_clip_ros.libraries import import_error
from space_clip_ros.messages import stamp_ns
from space_clip_ros.messages.laser_scans import level_frame
from space_clip_ros.ros.common.throttled_log import ThrottledLog

_LIBRARY = "tf2_ros"


class LevelFrame:
    """Publishes the level frame below the images' frame, once that is asked for.

    Args:
        node: the node that publishes it.
        log: gets a warning if TF cannot be published.
    """

    def __init__(self, node: LifecycleNode, log: ThrottledLog) -> None:
        """Keep the arguments; :meth:`advertise` makes the publisher."""
        self._node = node
        self._log = log
        self._broadcaster: Any = None
        self._problem = ""

    def advertise(self) -> None:
        """Make the publisher of ``/tf``, if there is none yet; only from the executor's thread."""
        if self._broadcaster is not None or self._problem:
            return
        try:
            self._broadcaster = importlib.import_module(_LIBRARY).TransformBroadcaster(self._node)
        except ImportError as error:
            self._problem = f"{import_error(error, _LIBRARY).problem}; ROS 2's own packages have it, its wheels do not"

    def publish(self, scan: PlanarScan, header: Any) -> None:
        """Publish where the frame of a scan lies.

        Args:
            scan: a scan in the level frame.
            header: of its image.
        """
        name = level_frame(header.frame_id)
        if self._problem:
            self._log.once("level frame", f"depth/scan is in {name}, which is not in TF: {self._problem}")
        if self._broadcaster is None:
            return
        # The level frame's pose in the images' frame: they share their origin.
        rotation = np.asarray(scan.camera_pose[:3, :3].T, np.float64)
        message = TransformStamped(header=header, child_frame_id=name)
        if not stamp_ns(message):
            # tf2 ignores a second transform of the same time, and all of these would have time 0.
            message.header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id=header.frame_id)
        turn = message.transform.rotation
        turn.x, turn.y, turn.z, turn.w = quaternion(rotation)
        self._broadcaster.sendTransform(message)

    def destroy(self) -> None:
        """Destroy the publisher."""
        if self._broadcaster is not None:
            self._node.destroy_publisher(self._broadcaster.pub_tf)
            self._broadcaster = None
