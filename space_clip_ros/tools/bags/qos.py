"""Quality of service of a bag's topics, as recorded in the bag; ``ros2 bag play`` offers the same."""

from __future__ import annotations

from collections.abc import Sequence

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

# What `ros2 bag record` writes for "no limit": the longest duration a ROS message can hold.
_FOREVER = QosTime(9_223_372_036, 854_775_807)


def profile(depth: int, *, reliable: bool = True, latched: bool = False) -> Qos:
    """Return a profile.

    Args:
        depth: messages kept for a slow subscriber, at least 1.
        reliable: whether lost messages are sent again; best-effort subscribers match a reliable publisher too.
        latched: whether late subscribers get the last messages (transient local).
    """
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def is_latched(offered: Sequence[Qos]) -> bool:
    """Return whether any of a topic's publishers is latched (transient local)."""
    return any(one.durability == QosDurability.TRANSIENT_LOCAL for one in offered)


SENSOR = profile(10)
"""Cameras and laser scanners, as ``kitti_player`` offers them."""

TF = profile(100)
STATIC_TF = profile(1, latched=True)
