"""Message classes and QoS profiles for passing messages between a bag and DDS as serialized bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosReliability

from space_clip_ros.errors import InputError, one_line
from space_clip_ros.messages.types import message_class
from space_clip_ros.tools.bags.qos import is_latched, profile

_DEPTH = 10
# A latched topic such as /tf_static may have had many publishers; the player's only publisher must keep the messages
# of all of them.
_MAX_LATCHED = 1000


def installed_class(kind: str) -> Any:
    """Return the class of a message type such as ``sensor_msgs/msg/Image``.

    Raises:
        InputError: its package is not installed, or has no such message.
    """
    package, _, name = kind.partition("/msg/")
    try:
        return message_class(kind)
    except ModuleNotFoundError as error:
        raise InputError(kind, "is not installed", f"install the ROS package {package}") from error
    except ImportError as error:
        raise InputError(kind, one_line(error), f"install a version of {package} that has {name}") from error


def played_qos(offered: Sequence[Qos], count: int) -> QoSProfile:
    """Return the QoS to publish a recorded topic with, so that subscribers match it as they matched the recorded one.

    Args:
        offered: the recorded profiles of its publishers; none gives ROS's default.
        count: number of messages of the topic in the bag.
    """
    reliable = not offered or any(qos.reliability != QosReliability.BEST_EFFORT for qos in offered)
    latched = is_latched(offered)
    depth = max([_DEPTH, *(qos.depth for qos in offered)])
    return QoSProfile(
        depth=min(max(depth, count), _MAX_LATCHED) if latched else depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def recording_qos(offered: Sequence[QoSProfile], depth: int) -> QoSProfile:
    """Return the strictest QoS that still matches every publisher of a topic.

    Args:
        offered: the profiles of its publishers.
        depth: messages queued while the disk is busy.
    """
    reliable = all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
    latched = all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
    return QoSProfile(
        depth=depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def recorded_qos(requested: QoSProfile) -> Qos:
    """Return the profile to write into a bag for a topic that was subscribed to with ``requested``."""
    return profile(
        _DEPTH,
        reliable=requested.reliability == ReliabilityPolicy.RELIABLE,
        latched=requested.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )
