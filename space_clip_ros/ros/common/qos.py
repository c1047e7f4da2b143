"""Quality of service: overrides by parameter, descriptions for people, warnings about profiles that do not match."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from space_clip_ros.ros.common.throttled_log import ThrottledLog

# Iron moved the module and left a deprecated one behind.
_NEW_MODULE = "rclpy.event_handler"
_events = importlib.import_module(_NEW_MODULE if importlib.util.find_spec(_NEW_MODULE) else "rclpy.qos_event")
_NAMED = 4


def best_effort(depth: int) -> QoSProfile:
    """Return a best-effort, volatile profile for the newest ``depth`` messages; it matches every publisher."""
    return _profile(depth, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)


def reliable(depth: int, latched: bool = False) -> QoSProfile:
    """Return a profile in which no message is lost, up to ``depth`` of them; ``latched`` is for late subscribers too.

    Reliable and best-effort subscribers both match a reliable publisher.
    """
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return _profile(depth, ReliabilityPolicy.RELIABLE, durability)


def _profile(depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=reliability, durability=durability)


def qos_overrides() -> QoSOverridingOptions:
    """Return options that let parameters ``qos_overrides.<topic>.<publisher|subscription>.<policy>`` change a QoS.

    Durability is among them, so that a subscription can ask for a camera_info that is published once and latched.
    """
    kinds = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)
    return QoSOverridingOptions(policy_kinds=kinds)


def describe_endpoint(endpoint: Any) -> str:
    """Return one line for an endpoint of ``get_publishers_info_by_topic``: its node, type and QoS."""
    node = f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
    return f"{node} ({endpoint.topic_type}, {describe_qos(endpoint.qos_profile)})"


def describe_qos(qos: Any) -> str:
    """Return the two policies over which publishers and subscribers usually differ, e.g. ``reliable, volatile``."""
    return f"{qos.reliability.name.lower()}, {qos.durability.name.lower()}"


def with_events(create: Callable[[Any], Any], callbacks: Any, *fewer: Any) -> Any:
    """Return what ``create`` makes with event callbacks, or without them if the middleware has no such events.

    Humble's rclpy raises in that case; later ones ignore such callbacks.

    Args:
        create: creates a publisher or subscription; gets its event callbacks, or None for rclpy's own.
        callbacks: for example of :func:`publisher_events`.
        fewer: callbacks to try next, of fewer events.
    """
    for events in (callbacks, *fewer):
        try:
            return create(events)
        except _events.UnsupportedEventTypeError:
            pass
    return create(None)


def subscription_events(**callbacks: Callable[[Any], Any]) -> Any:
    """Return rclpy's event callbacks of a subscription, by the events' names."""
    return _events.SubscriptionEventCallbacks(**callbacks)


def _subscription_events(
    node: Node, topic: str, qos: QoSProfile, log: ThrottledLog, lost: Callable[[int], None] | None
) -> list[Any]:
    """Return event callbacks, and behind them those of fewer events for a middleware that does not know all."""

    def warn(event: Any) -> None:
        name = node.resolve_topic_name(topic)
        theirs = "; ".join(unheard(node, name, qos)[:_NAMED]) or "a publisher"
        log.warning(
            f"qos of {topic}",
            f"{name}: cannot hear {theirs}, because this node asks for {describe_qos(qos)}; change the publisher, or "
            f"here the parameters qos_overrides.{name}.subscription.*",
        )

    callbacks = [subscription_events(incompatible_qos=warn)]
    if lost is not None:
        count = subscription_events(incompatible_qos=warn, message_lost=lambda event: lost(event.total_count_change))
        callbacks.insert(0, count)
    return callbacks


def subscribe(
    node: Node,
    kind: type,
    topic: str,
    callback: Callable[[Any], None],
    qos: QoSProfile,
    log: ThrottledLog,
    lost: Callable[[int], None] | None = None,
) -> Any:
    """Return a subscription whose QoS parameters can override, and which logs the publishers that it cannot hear.

    Args:
        node: the node that subscribes.
        kind: the message's class.
        topic: its name, not yet resolved.
        callback: gets each message.
        qos: the profile; overrides are written into it.
        log: where publishers that cannot be heard are logged.
        lost: gets how many messages were lost on the way here, each time some were; for middlewares that count them.
    """
    return with_events(
        lambda callbacks: node.create_subscription(
            kind, topic, callback, qos, event_callbacks=callbacks, qos_overriding_options=qos_overrides()
        ),
        *_subscription_events(node, topic, qos, log, lost),
    )


def publisher_events(node: Node, topic: str, qos: QoSProfile, log: ThrottledLog) -> Any:
    """Return event callbacks that log which subscribers a publisher cannot reach, with both sides' QoS.

    Args:
        node: the node that publishes.
        topic: its name, not yet resolved.
        qos: its profile; overrides are written into it before the first event.
        log: where it is logged.
    """

    def warn(event: Any) -> None:
        name = node.resolve_topic_name(topic)
        asking = node.get_subscriptions_info_by_topic(name)
        theirs = [describe_endpoint(endpoint) for endpoint in asking if not _fits(qos, endpoint.qos_profile)]
        log.warning(
            f"qos of {topic}",
            f"{name}: cannot reach {'; '.join(theirs[:_NAMED]) or 'a subscriber'}, because this node offers "
            f"{describe_qos(qos)}; change the subscriber, or here the parameters qos_overrides.{name}.publisher.*",
        )

    return _events.PublisherEventCallbacks(incompatible_qos=warn)


def unheard(node: Node, topic: str, qos: QoSProfile) -> list[str]:
    """Describe the publishers of a resolved topic that a subscription with ``qos`` cannot hear."""
    endpoints = node.get_publishers_info_by_topic(topic)
    return [describe_endpoint(endpoint) for endpoint in endpoints if not _fits(endpoint.qos_profile, qos)]


def _fits(offered: QoSProfile, requested: QoSProfile) -> bool:
    compatibility, _ = qos_check_compatible(offered, requested)
    return bool(compatibility != QoSCompatibility.ERROR)
