"""Quality of service of a bag's topics, as recorded in the bag; ``ros2 bag play`` offers the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

import yaml
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from space_clip_ros.errors import DataError, one_line

Policy = TypeVar("Policy", bound=Enum)

# What `ros2 bag record` writes for "no limit": the longest duration a ROS message can hold.
_FOREVER = QosTime(9_223_372_036, 854_775_807)
_CORRECT = "correct it, or write '' for ROS's default"
_DEFAULT_DEPTH = 10


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


def recorded_profiles(value: Any, what: str) -> tuple[Qos, ...]:
    """Return the profiles that ``offered_qos_profiles`` of a ``metadata.yaml`` holds.

    rosbag2 writes a list as text with numbers (up to Humble and Iron) or a list with names (since Jazzy). People edit
    both, so policies may be names or numbers, a single profile need not be in a list, and missing values are ROS's
    defaults.

    Args:
        value: what the file holds.
        what: its place, for errors.

    Raises:
        DataError: a policy does not exist, or the value is not a list of profiles.
    """
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise DataError(what, f"is not valid YAML ({one_line(error)})", _CORRECT) from error
    listed = [value] if isinstance(value, Mapping) else value or []
    if not isinstance(listed, list) or not all(isinstance(entry, Mapping) for entry in listed):
        raise DataError(what, "is not a list of QoS profiles", _CORRECT)
    return tuple(_recorded_profile(entry, what) for entry in listed)


def is_latched(offered: Sequence[Qos]) -> bool:
    """Return whether any of a topic's publishers is latched (transient local)."""
    return any(qos.durability == QosDurability.TRANSIENT_LOCAL for qos in offered)


SENSOR = profile(10)
"""For cameras and laser scanners, as in ``kitti_player``."""

LATCHED = profile(1, latched=True)
"""For values that change rarely, such as the names of labels."""

TF = profile(100)
STATIC_TF = profile(1, latched=True)


def _recorded_profile(values: Mapping[str, Any], what: str) -> Qos:
    return Qos(
        history=_policy(QosHistory, values, "history", QosHistory.KEEP_LAST, what),
        depth=_whole(values, "depth", _DEFAULT_DEPTH, what),
        reliability=_policy(QosReliability, values, "reliability", QosReliability.RELIABLE, what),
        durability=_policy(QosDurability, values, "durability", QosDurability.VOLATILE, what),
        deadline=_time(values, "deadline", what),
        lifespan=_time(values, "lifespan", what),
        liveliness=_policy(QosLiveliness, values, "liveliness", QosLiveliness.AUTOMATIC, what),
        liveliness_lease_duration=_time(values, "liveliness_lease_duration", what),
        avoid_ros_namespace_conventions=values.get("avoid_ros_namespace_conventions") is True,
    )


def _policy(kind: type[Policy], values: Mapping[str, Any], name: str, default: Policy, what: str) -> Policy:
    value = values.get(name)
    if value is None:
        return default
    for policy in kind:
        if str(value).lower() in (policy.name.lower(), str(policy.value)):
            return policy
    names = ", ".join(policy.name.lower() for policy in kind)
    raise DataError(what, f"{name} must be one of {names}, got {value!r}", _CORRECT)


def _whole(values: Mapping[str, Any], name: str, default: int, what: str) -> int:
    value = values.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DataError(what, f"{name} must be a whole number of at least 0, got {value!r}", _CORRECT)
    return value


def _time(values: Mapping[str, Any], name: str, what: str) -> QosTime:
    value = values.get(name)
    if value is None:
        return _FOREVER
    if not isinstance(value, Mapping):
        raise DataError(what, f"{name} must be {{sec: S, nsec: N}}, got {value!r}", _CORRECT)
    return QosTime(_whole(value, "sec", 0, what), _whole(value, "nsec", 0, what))
