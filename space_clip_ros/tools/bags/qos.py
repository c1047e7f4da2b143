"""The quality of service that a bag's topics are recorded with, which ``ros2 bag play`` then offers."""

from __future__ import annotations

from collections.abc import Sequence

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

# What `ros2 bag record` writes for "no limit": the longest time a ROS message can hold.
_FOREVER = QosTime(9_223_372_036, 854_775_807)


def profile(depth: int, *, reliable: bool = True, latched: bool = False) -> Qos:
    """Return a profile.

    Args:
        depth: messages kept for a slow subscriber, at least 1.
        reliable: resend what was lost; reliable publishers serve best-effort subscribers too.
        latched: keep the last messages for subscribers that come later (transient local).
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
    """Tell whether late subscribers of a recorded topic got its last messages."""
    return any(one.durability == QosDurability.TRANSIENT_LOCAL for one in offered)


SENSOR = profile(10)
"""Cameras and scanners, as ``kitti_player`` offers them."""

TF = profile(100)
STATIC_TF = profile(1, latched=True)
