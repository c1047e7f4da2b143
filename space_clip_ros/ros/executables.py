"""The installed ROS executables. Nothing heavy may be imported here; see :mod:`space_clip_ros.ros.common.start`."""

from __future__ import annotations

from space_clip_ros.ros.common.start import start

# Modules below space_clip_ros that run as nodes. The tools also start them, as child processes.
DEPTH_NODE = "ros.node.depth_node"
KITTI_PLAYER = "ros.drive.kitti_player"
DEPTH_EVALUATOR = "ros.drive.depth_evaluator"


def depth_node() -> None:
    """Run ``depth_node``."""
    start(DEPTH_NODE, "depth_node")


def kitti_player() -> None:
    """Run ``kitti_player``."""
    start(KITTI_PLAYER, "kitti_player")


def depth_evaluator() -> None:
    """Run ``depth_evaluator``."""
    start(DEPTH_EVALUATOR, "depth_evaluator")
