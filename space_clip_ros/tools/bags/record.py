"""Node ``record``: writes topics into an MCAP bag, as the bytes received over DDS; ``space_clip record`` runs it."""

from __future__ import annotations

import functools
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from space_clip_ros.errors import DataError, InputError, SpaceClipError
from space_clip_ros.ros.common.qos import reliable, subscription_events, with_events
from space_clip_ros.tools.bags.definitions import Definition, Definitions
from space_clip_ros.tools.bags.options import RecordOptions
from space_clip_ros.tools.bags.serialized import installed_class, recorded_qos, recording_qos
from space_clip_ros.tools.bags.writer import BagWriter
from space_clip_ros.tools.program import NodeProgram
from space_clip_ros.tools.terminal import Terminal

_DESCRIPTION = "Records topics into a rosbag2 (MCAP); no rosbag2 needed."
_SCAN_PERIOD_S = 0.2
_FLUSH_PERIOD_S = 1.0
_DEPTH = 100
_CLOSE_S = 10.0
# The QoS to ask for where there is no publisher yet.
_EXPECTED = reliable(_DEPTH)
_RESERVE_BYTES = 256 << 20
# Every node publishes these topics; they are recorded only if they are named.
_FROM_EVERY_NODE = ("/rosout", "/parameter_events")


class Recorder(Node):
    """Records topics: subscribes to each as soon as somebody publishes it, and writes its messages to the bag.

    Messages are stamped when they arrive: with the system's time, or with ``/clock`` under ``use_sim_time``, where
    nothing is written before the first tick. Recording stops by itself before the disk is full, so that the bag can
    still be finished.

    Attributes:
        error: why recording ended early; None if it did not.
    """

    def __init__(
        self, finish: Callable[[], None], bag: BagWriter, options: RecordOptions, **node_arguments: Any
    ) -> None:
        """Start looking for topics.

        Args:
            finish: called when recording stops by itself.
            bag: an open bag.
            options: what to record.
            node_arguments: for :class:`rclpy.node.Node`.
        """
        super().__init__("record", **node_arguments)
        self._bag = bag
        self._options = options
        self._finish = finish
        self._wanted = {self.resolve_topic_name(topic.partition("=")[0]) for topic in options.topics}
        self._definitions = Definitions()
        self._known: set[str] = set()
        self._recorded: dict[str, tuple[Any, Any]] = {}
        self._unmatched: set[str] = set()
        self._ends_s = time.monotonic() + (options.duration or float("inf"))
        self.error: SpaceClipError | None = None
        for name, kind in options.types.items():
            self._record(self.resolve_topic_name(name), kind, _EXPECTED)
        self.create_timer(_SCAN_PERIOD_S, self._scan)
        self.create_timer(_FLUSH_PERIOD_S, self._flush)

    @property
    def total(self) -> int:
        """Number of messages written so far."""
        return sum(self._bag.counts.values())

    def close(self) -> str:
        """Return a line about what was recorded; the caller, who opened the bag, finishes it."""
        counts = self._bag.counts
        silent = sorted(name for name in self._wanted | set(counts) if not counts.get(name))
        if silent:
            self.get_logger().warning(f"no messages on {', '.join(silent)}")
        return f"recorded {self.total} messages of {len(self._bag.counts)} topics"

    def _scan(self) -> None:
        """Subscribe to new topics, and stop if it is time to."""
        try:
            for name, kinds in self.get_topic_names_and_types():
                if name not in self._known and self._is_wanted(name):
                    self._subscribe(name, kinds[0])
            self._match()
        except SpaceClipError as error:
            self._end(error)
        if shutil.disk_usage(self._bag.path.parent).free < _RESERVE_BYTES:
            self._end(DataError(self._bag.path, "the disk is nearly full, so recording stops; the bag is complete"))
        elif time.monotonic() > self._ends_s or self._full():
            self._finish()

    def _full(self) -> bool:
        limit = self._options.max_mb
        if not limit or self._bag.size < limit * 1e6:
            return False
        self.get_logger().warning(f"the bag has grown to {limit:g} MB, so recording stops; the bag is complete")
        return True

    def _is_wanted(self, name: str) -> bool:
        return name in self._wanted if self._wanted else name not in _FROM_EVERY_NODE and "/_" not in name

    def _subscribe(self, name: str, kind: str) -> None:
        offered = [endpoint.qos_profile for endpoint in self.get_publishers_info_by_topic(name)]
        if offered:
            self._record(name, kind, recording_qos(offered, _DEPTH))

    def _record(self, name: str, kind: str, qos: QoSProfile) -> None:
        self._known.add(name)
        try:
            message_type, definition = installed_class(kind), self._definition(kind)
        except InputError as error:
            self.get_logger().warning(f"{name} is left out: {error}")
            return
        self._bag.add(name, kind, recorded_qos(qos), definition)
        self._recorded[name] = message_type, self._listen(name, message_type, qos)
        self.get_logger().info(f"recording {name} ({kind})")

    def _listen(self, name: str, message_type: Any, qos: QoSProfile) -> Any:
        write = functools.partial(self._write, name)
        return with_events(
            lambda events: self.create_subscription(message_type, name, write, qos, event_callbacks=events, raw=True),
            subscription_events(incompatible_qos=lambda _: self._unmatched.add(name)),
        )

    def _match(self) -> None:
        """Subscribe again where a publisher offers less than those before it did, with what all of them offer."""
        for name in tuple(self._unmatched):
            offered = [endpoint.qos_profile for endpoint in self.get_publishers_info_by_topic(name)]
            # The event may come before the publisher is known here.
            if offered and name in self._recorded:
                self._unmatched.discard(name)
                message_type, subscription = self._recorded[name]
                # What has arrived and not been written yet would go with the subscription.
                with subscription.handle:
                    while (taken := subscription.handle.take_message(message_type, True)) is not None:
                        self._write(name, taken[0])
                self.destroy_subscription(subscription)
                qos = recording_qos(offered, _DEPTH)
                self._recorded[name] = message_type, self._listen(name, message_type, qos)
                self.get_logger().info(f"recording {name} as its new publisher offers it")

    def _definition(self, kind: str) -> Definition:
        definition = self._definitions.find(kind)
        if definition is None:
            package = kind.partition("/")[0]
            raise InputError(kind, "its definition is not installed", f"install the ROS package {package} again")
        return definition

    def _write(self, name: str, data: bytes) -> None:
        stamp_ns = self.get_clock().now().nanoseconds
        if not stamp_ns or self.error is not None:
            return
        try:
            self._bag.write_serialized(name, stamp_ns, data)
        except SpaceClipError as error:
            self._end(error)

    def _flush(self) -> None:
        if self.error is None:
            try:
                self._bag.flush()
            except SpaceClipError as error:
                self._end(error)

    def _end(self, error: SpaceClipError) -> None:
        if self.error is None:
            self.error = error
            self.get_logger().fatal(str(error))
            self._finish()


def main(args: Sequence[str] | None = None) -> int:
    """Record until SIGINT, SIGTERM or the end given by the options; return the exit status.

    The status is 1 if nothing was recorded or an error ended the recording early. The bag is complete even then, unless
    writing it failed: then its unfinished file is left, and the last line says how to recover what is in it.
    """
    example = "example: record /image /depth/image --out run_1"
    program = NodeProgram("record", _DESCRIPTION, example, RecordOptions)

    def record(options: RecordOptions) -> int:
        for kind in options.types.values():
            installed_class(kind)
        with BagWriter(options.out, keep=True, note=options.note) as bag:
            status = program.run(lambda finish: Recorder(finish, bag, options), _CLOSE_S)
            if not sum(bag.counts.values()):
                raise DataError(bag.path, "nothing was recorded, so there is no bag")
        terminal = Terminal()
        for topic, count in sorted(bag.counts.items()):
            terminal.say(f"{count:6d}  {topic}")
        terminal.say(str(bag.path))
        return status

    return program.main(record, args)


if __name__ == "__main__":
    sys.exit(main())
