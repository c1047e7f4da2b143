"""The publishers of one camera's outputs."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from space_clip_ros.messages.outputs import CAMERA_INFO, TOPICS, OutputMessages, OutputTopic
from space_clip_ros.messages.types import message_class
from space_clip_ros.ros.common.qos import publisher_events, qos_overrides, with_events
from space_clip_ros.ros.common.throttled_log import ThrottledLog

_DEPTH = 2


class Publishers:
    """Publishes outputs by their names; they go out only while the node is active.

    Args:
        node: the node whose topics they are.
        prefix: what goes before the topics' names: ``front/`` for the camera front of several, else nothing.
        log: where subscribers that ask for another QoS are named.

    Attributes:
        messages: makes the messages, and gives outputs their memory.
    """

    def __init__(self, node: LifecycleNode, prefix: str, log: ThrottledLog) -> None:
        """Create the publishers, all or none."""
        self._node = node
        self._prefix = prefix
        self._log = log
        self.messages = OutputMessages()
        self._publishers: dict[str, Any] = {}
        try:
            for name, topic in TOPICS.items():
                self._publishers[name] = self._create(topic)
        except Exception:
            self.destroy()
            raise

    @property
    def topics(self) -> tuple[str, ...]:
        """Resolved names of the topics made from depth."""
        return tuple(publisher.topic_name for name, publisher in self._publishers.items() if name != CAMERA_INFO)

    def topic(self, name: str) -> str:
        """Return an output's topic as it is called without a prefix."""
        return TOPICS[name].topic

    def wanted(self) -> tuple[str, ...]:
        """Return the names of the outputs that somebody subscribes to."""
        return tuple(name for name, publisher in self._publishers.items() if publisher.get_subscription_count())

    def subscribers(self) -> int:
        """Return how many subscribers all outputs have together."""
        return sum(publisher.get_subscription_count() for publisher in self._publishers.values())

    def publish(self, name: str, value: Any, header: Any) -> None:
        """Publish an output: an array, or a camera for ``camera_info``."""
        self._publishers[name].publish(self.messages.message(name, value, header))

    def destroy(self) -> None:
        """Destroy the publishers."""
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.popitem()[1])

    def _create(self, output: OutputTopic) -> Any:
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.VOLATILE,
        )
        name = f"{self._prefix}{output.topic}"
        return with_events(
            lambda callbacks: self._node.create_lifecycle_publisher(
                message_class(output.kind),
                name,
                qos,
                event_callbacks=callbacks,
                qos_overriding_options=qos_overrides(),
            ),
            publisher_events(self._node, name, qos, self._log),
        )
