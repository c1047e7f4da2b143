"""Quality of service: what users may override, and how to say what somebody uses."""

from __future__ import annotations

from typing import Any

from rclpy.qos import QoSPolicyKind
from rclpy.qos_overriding_options import QoSOverridingOptions


def qos_overrides() -> QoSOverridingOptions:
    """Return options that let parameters ``qos_overrides.<topic>.<publisher|subscription>.<policy>`` change a QoS.

    Durability is among them, so that a camera_info that is published once and latched can be asked for.
    """
    kinds = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
    return QoSOverridingOptions(policy_kinds=kinds)


def describe_endpoint(endpoint: Any) -> str:
    """Return one line for an endpoint of ``get_publishers_info_by_topic``: its node, type and QoS."""
    qos = endpoint.qos_profile
    node = f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
    return f"{node} ({endpoint.topic_type}, {qos.reliability.name.lower()}, {qos.durability.name.lower()})"
