"""The installed ROS executables. Nothing heavy may be imported here; see :mod:`space_clip_ros.ros.common.start`."""

from __future__ import annotations

from space_clip_ros.ros.common.start import start


def depth_node() -> None:
    """Run ``depth_node``."""
    start("ros.node.depth_node", "depth_node")


def kitti_player() -> None:
    """Run ``kitti_player``."""
    start("ros.drive.kitti_player", "kitti_player")


def depth_evaluator() -> None:
    """Run ``depth_evaluator``."""
    start("ros.drive.depth_evaluator", "depth_evaluator")
