"""What a middleware without QoS events leads to; the rest of the module is tested over DDS with the node."""

from __future__ import annotations

from typing import Any

import pytest

from space_clip_ros.ros.common import qos


def test_a_middleware_without_qos_events_costs_the_events_only() -> None:
    """Humble's rclpy raises where later ones leave the event out; here its refusal is acted."""
    requested: list[Any] = []

    def create(callbacks: Any) -> str:
        requested.append(callbacks)
        if callbacks is not None:
            raise qos._events.UnsupportedEventTypeError("not by this middleware")
        return "created"

    assert qos.with_events(create, "callbacks") == "created"
    assert requested == ["callbacks", None]


def test_other_failures_are_not_hidden() -> None:
    def create(callbacks: Any) -> None:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        qos.with_events(create, "callbacks")
