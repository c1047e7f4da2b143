"""QoS profiles as the metadata.yaml of a bag has them, of every release and edited by hand."""

from __future__ import annotations

from typing import Any

import pytest
from rosbags.interfaces import QosDurability, QosReliability, QosTime

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags import qos
from space_clip_ros.tools.bags.qos import recorded_profiles

HUMBLE = """- history: 1
  depth: 10
  reliability: 1
  durability: 1
  deadline: {sec: 9223372036, nsec: 854775807}
  lifespan: {sec: 9223372036, nsec: 854775807}
  liveliness: 1
  liveliness_lease_duration: {sec: 9223372036, nsec: 854775807}
  avoid_ros_namespace_conventions: false"""
JAZZY = [
    {
        "history": "keep_last",
        "depth": 10,
        "reliability": "reliable",
        "durability": "transient_local",
        "deadline": {"sec": 9223372036, "nsec": 854775807},
        "lifespan": {"sec": 9223372036, "nsec": 854775807},
        "liveliness": "automatic",
        "liveliness_lease_duration": {"sec": 9223372036, "nsec": 854775807},
        "avoid_ros_namespace_conventions": False,
    }
]
LATCHED = qos.profile(10, latched=True)


@pytest.mark.parametrize(
    "value", [HUMBLE, JAZZY, JAZZY[0], [{"durability": "TRANSIENT_LOCAL"}], [{"durability": "1"}], "durability: 1"]
)
def test_every_form_is_the_same_profile(value: Any) -> None:
    assert recorded_profiles(value, "") == (LATCHED,)


@pytest.mark.parametrize("value", ["", "[]", [], None, "~"])
def test_no_profile_was_recorded(value: Any) -> None:
    assert recorded_profiles(value, "") == ()


def test_unknown_is_what_recorders_write_of_a_history(value: str = "unknown") -> None:
    (profile,) = recorded_profiles([{"history": value, "depth": 0, "reliability": 2, "deadline": {"sec": 1}}], "")
    assert (profile.history.name, profile.depth, profile.reliability) == ("UNKNOWN", 0, QosReliability.BEST_EFFORT)
    assert (profile.durability, profile.deadline) == (QosDurability.VOLATILE, QosTime(1, 0))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a: [", "place: is not valid YAML"),
        ("reliable", "place: is not a list of QoS profiles; correct it, or write '' for ROS's default"),
        ([1], "is not a list of QoS profiles"),
        ([{"reliability": "relaible"}], "reliability must be one of system_default, reliable, .*, got 'relaible'"),
        ([{"durability": 7}], "durability must be one of .*, got 7"),
        ([{"depth": -1}], "depth must be a whole number of at least 0, got -1"),
        ([{"deadline": 0.5}], r"deadline must be \{sec: S, nsec: N\}, got 0.5"),
    ],
)
def test_what_is_no_profile_is_refused(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        recorded_profiles(value, "place")
