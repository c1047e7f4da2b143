"""Messages that stay CDR bytes on their way between a bag and DDS: their types and their quality of service."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosReliability

from space_clip_ros.tools.bags.qos import is_latched, profile

_DEPTH = 10
# A latched topic of a bag may hold the words of many publishers, /tf_static above all; one publisher speaks for them.
_MOST_LATCHED = 1000


def message_class(kind: str) -> Any | None:
    """Return the class of a message type such as ``sensor_msgs/msg/Image``; None where its package is not installed."""
    package, _, name = kind.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name, None)
    except ImportError:
        return None


def played_qos(offered: Sequence[Qos], count: int) -> QoSProfile:
    """Return what to offer for a recorded topic: whatever every subscriber of its publishers could have had.

    Args:
        offered: the recorded profiles of its publishers; none gives ROS's default.
        count: how many messages the bag has of it.
    """
    reliable = not offered or any(one.reliability != QosReliability.BEST_EFFORT for one in offered)
    latched = is_latched(offered)
    depth = max([_DEPTH, *(one.depth for one in offered)])
    return QoSProfile(
        depth=min(max(depth, count), _MOST_LATCHED) if latched else depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def recording_qos(offered: Sequence[QoSProfile], depth: int) -> QoSProfile:
    """Return what to ask for to hear every publisher of a topic, with as much as they all offer.

    Args:
        offered: the profiles of its publishers.
        depth: messages kept while the disk is busy.
    """
    reliable = all(one.reliability == ReliabilityPolicy.RELIABLE for one in offered)
    latched = all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in offered)
    return QoSProfile(
        depth=depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def recorded_qos(asked: QoSProfile) -> Qos:
    """Return the profile to write into a bag for a topic that was recorded with ``asked``."""
    return profile(
        _DEPTH,
        reliable=asked.reliability == ReliabilityPolicy.RELIABLE,
        latched=asked.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )
