"""The installed executables of the tools. Nothing heavy may be imported here; see ``ros/common/start.py``."""

from __future__ import annotations

from space_clip_ros.ros.common.start import start

BAG_RECORD = "tools.bags.record"
BAG_REPLAY = "tools.bags.replay"
CAMERA_SENDER = "tools.benchmark.camera_sender"
LIVE_VIEW = "tools.live.view"
"""Modules below ``space_clip_ros`` that run as ROS nodes, here and in the processes that other tools start."""


def bag_replay() -> None:
    """Run the node that plays a bag."""
    start(BAG_REPLAY, "bag_replay")


def live_view() -> None:
    """Run the node that shows a page on this machine."""
    start(LIVE_VIEW, "live_view")
