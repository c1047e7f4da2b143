"""The installed executables of the tools. Nothing heavy may be imported here; see ``ros/common/start.py``."""

from __future__ import annotations

from space_clip_ros.ros.common.start import start


def bag_replay() -> None:
    """Run the node that plays a bag."""
    start("tools.bags.replay", "bag_replay")


def live_view() -> None:
    """Run the node that shows a page on this machine."""
    start("tools.live.view", "live_view")
