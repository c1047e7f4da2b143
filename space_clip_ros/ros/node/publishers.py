"""The publishers of one camera's outputs."""

from __future__ import annotations

import os
from typing import Any

from rclpy.lifecycle import LifecycleNode

from space_clip_ros.libraries import import_error
from space_clip_ros.messages.outputs import CAMERA_INFO, TOPICS, MessageMemory, OutputMessages, OutputTopic
from space_clip_ros.messages.types import message_class
from space_clip_ros.ros.common.qos import publisher_events, qos_overrides, reliable, with_events
from space_clip_ros.ros.common.serialized_messages import SerializedMessage, can_publish_bytes
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
        missing: why an output has no publisher, by its name: its message package is not installed.
    """

    def __init__(self, node: LifecycleNode, prefix: str, log: ThrottledLog) -> None:
        """Create the publishers, all or none."""
        self._node = node
        self._prefix = prefix
        self._log = log
        self.messages = OutputMessages(memory=SerializedMessage if can_publish_bytes() else MessageMemory)
        self._publishers: dict[str, Any] = {}
        self.missing: dict[str, str] = {}
        try:
            for name, topic in TOPICS.items():
                self._add(name, topic)
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
        """Return the names of the outputs that somebody subscribes to; latched ones do not come with an image."""
        return tuple(
            name
            for name, publisher in self._publishers.items()
            if not TOPICS[name].latched and publisher.get_subscription_count()
        )

    def subscribers(self) -> int:
        """Return how many subscribers all outputs have together, without latched ones."""
        return sum(
            publisher.get_subscription_count()
            for name, publisher in self._publishers.items()
            if not TOPICS[name].latched
        )

    def publish(self, name: str, value: Any, header: Any) -> None:
        """Publish an output: an array, or a camera for ``camera_info``; nothing if its message is not installed."""
        if name not in self._publishers:
            return
        message = self.messages.message(name, value, header)
        if isinstance(message, SerializedMessage):
            message.publish(self._publishers[name])
        else:
            self._publishers[name].publish(message)

    def destroy(self) -> None:
        """Destroy the publishers."""
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.popitem()[1])

    def _add(self, name: str, output: OutputTopic) -> None:
        try:
            message_class(output.kind)
        except ImportError as error:
            if not output.optional:
                raise
            package = output.kind.partition("/")[0]
            debian = f"ros-{os.environ.get('ROS_DISTRO', 'DISTRO')}-{package.replace('_', '-')}"
            self.missing[name] = (
                f"{import_error(error, package).problem}; apt has it as {debian}, ROS 2's wheels do not"
            )
            return
        self._publishers[name] = self._create(output)

    def _create(self, output: OutputTopic) -> Any:
        qos = reliable(1 if output.latched else _DEPTH, output.latched)
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
