from __future__ import annotations

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from space_clip_ros.errors import InputError
from space_clip_ros.tools.bags import qos
from space_clip_ros.tools.bags.serialized import installed_class, played_qos, recorded_qos, recording_qos

LATCHED, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE
RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


def test_types_are_found_by_name() -> None:
    assert installed_class("sensor_msgs/msg/Image") is Image


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("sensor_msgs/msg/Nothing", "sensor_msgs has no message Nothing; install a version of sensor_msgs that has No"),
        ("no_such_msgs/msg/Image", "no_such_msgs/msg/Image: is not installed; install the ROS package no_such_msgs"),
        ("sensor_msgs/Image", "'sensor_msgs/Image' is not a message type, PACKAGE/msg/NAME"),
        ("", "'' is not a message type"),
    ],
)
def test_a_missing_package_is_told_from_a_missing_message(kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        installed_class(kind)


@pytest.mark.parametrize(
    ("offered", "reliability", "durability", "depth"),
    [
        ([], RELIABLE, VOLATILE, 10),
        ([qos.SENSOR], RELIABLE, VOLATILE, 10),
        ([qos.profile(50, reliable=False)], BEST_EFFORT, VOLATILE, 50),
        ([qos.profile(5, reliable=False), qos.SENSOR], RELIABLE, VOLATILE, 10),
        ([qos.STATIC_TF], RELIABLE, LATCHED, 25),
    ],
)
def test_playing_offers_what_the_publishers_did(
    offered: list[object], reliability: ReliabilityPolicy, durability: DurabilityPolicy, depth: int
) -> None:
    result = played_qos(offered, count=25)
    assert (result.reliability, result.durability, result.depth) == (reliability, durability, depth)


@pytest.mark.parametrize(
    ("offered", "reliability", "durability"),
    [
        ([(RELIABLE, LATCHED)], RELIABLE, LATCHED),
        ([(RELIABLE, LATCHED), (BEST_EFFORT, VOLATILE)], BEST_EFFORT, VOLATILE),
        ([(RELIABLE, VOLATILE), (RELIABLE, LATCHED)], RELIABLE, VOLATILE),
    ],
)
def test_recording_asks_for_what_all_publishers_offer(
    offered: list[tuple[ReliabilityPolicy, DurabilityPolicy]],
    reliability: ReliabilityPolicy,
    durability: DurabilityPolicy,
) -> None:
    profiles = [QoSProfile(depth=1, reliability=reliable, durability=other) for reliable, other in offered]
    result = recording_qos(profiles, 100)
    assert (result.reliability, result.durability, result.depth) == (reliability, durability, 100)
    played = played_qos([recorded_qos(result)], count=1)
    assert (played.reliability, played.durability) == (reliability, durability)
