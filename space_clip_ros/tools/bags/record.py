"""Node ``record``: writes topics into an MCAP bag, as the bytes that come over DDS; ``space_clip record`` runs it."""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from space_clip_ros.errors import DataError, SpaceClipError
from space_clip_ros.tools.bags.definitions import Definitions
from space_clip_ros.tools.bags.options import RecordOptions, add_record_options, record_options
from space_clip_ros.tools.bags.serialized import message_class, recorded_qos, recording_qos
from space_clip_ros.tools.bags.writer import BagWriter
from space_clip_ros.tools.program import BagProgram
from space_clip_ros.tools.terminal import Terminal

_DESCRIPTION = "Records topics into a rosbag2 (MCAP); no rosbag2 needed."
_LOOK_PERIOD_S = 0.2
_DEPTH = 100
_CLOSE_S = 10.0
# What is asked of publishers that are not there yet.
_EXPECTED = QoSProfile(depth=_DEPTH, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
_RESERVE_BYTES = 256 << 20
# Every node talks on these; they are recorded when they are named.
_CHATTER = ("/rosout", "/parameter_events")


class Recorder(Node):
    """Subscribes to topics as their publishers come, and writes what they say.

    Messages are stamped when they arrive: with the system's time, or with ``/clock`` under ``use_sim_time``, where
    nothing is written before the first tick. Recording ends by itself before the disk is full, so that the bag can
    still be finished.
    """

    def __init__(self, finish: Callable[[], None], bag: BagWriter, options: RecordOptions, **more: Any) -> None:
        """Start looking for topics; ``bag`` is open. ``finish`` is called when recording ends by itself."""
        super().__init__("record", **more)
        self._bag = bag
        self._options = options
        self._finish = finish
        typed = dict(topic.split("=", 1) for topic in options.topics if "=" in topic)
        self._wanted = {self.resolve_topic_name(topic.partition("=")[0]) for topic in options.topics}
        self._definitions = Definitions()
        self._known: set[str] = set()
        self._ends_s = time.monotonic() + (options.duration or float("inf"))
        self.error: SpaceClipError | None = None
        for name, kind in typed.items():
            self._record(self.resolve_topic_name(name), kind, _EXPECTED)
        self.create_timer(_LOOK_PERIOD_S, self._look)

    @property
    def total(self) -> int:
        """Messages written so far."""
        return sum(self._bag.counts.values())

    def close(self) -> str:
        """Say what was recorded; the bag is finished by whoever opened it."""
        counts = self._bag.counts
        silent = sorted(name for name in self._wanted | set(counts) if not counts.get(name))
        if silent:
            self.get_logger().warning(f"nothing came on {', '.join(silent)}")
        return f"recorded {self.total} messages of {len(self._bag.counts)} topics"

    def _look(self) -> None:
        """Subscribe to topics that have become known, and see whether it is time to end."""
        try:
            for name, kinds in self.get_topic_names_and_types():
                if name not in self._known and self._is_wanted(name):
                    self._subscribe(name, kinds[0])
        except SpaceClipError as error:
            self._end(error)
        if shutil.disk_usage(self._bag.path.parent).free < _RESERVE_BYTES:
            self._end(DataError(f"{self._bag.path}: the disk is nearly full; the recording ends here, and is whole"))
        elif time.monotonic() > self._ends_s or self._full():
            self._finish()

    def _full(self) -> bool:
        limit = self._options.max_mb
        if not limit or self._bag.size < limit * 1e6:
            return False
        self.get_logger().warning(f"the bag has grown to {limit:g} MB; the recording ends here, and is whole")
        return True

    def _is_wanted(self, name: str) -> bool:
        return name in self._wanted if self._wanted else name not in _CHATTER and "/_" not in name

    def _subscribe(self, name: str, kind: str) -> None:
        offered = [endpoint.qos_profile for endpoint in self.get_publishers_info_by_topic(name)]
        if offered:
            self._record(name, kind, recording_qos(offered, _DEPTH))

    def _record(self, name: str, kind: str, qos: QoSProfile) -> None:
        self._known.add(name)
        message_type, definition = message_class(kind), self._definitions.find(kind)
        if message_type is None or definition is None:
            package = kind.partition("/")[0]
            self.get_logger().warning(f"{name} is left out: {kind} needs the ROS package {package}")
            return
        self._bag.add(name, kind, recorded_qos(qos), definition)
        self.create_subscription(message_type, name, functools.partial(self._write, name), qos, raw=True)
        self.get_logger().info(f"recording {name} ({kind})")

    def _write(self, name: str, data: bytes) -> None:
        stamp_ns = self.get_clock().now().nanoseconds
        if not stamp_ns or self.error is not None:
            return
        try:
            self._bag.write_serialized(name, stamp_ns, data)
        except SpaceClipError as error:
            self._end(error)

    def _end(self, error: SpaceClipError) -> None:
        if self.error is None:
            self.error = error
            self.get_logger().fatal(str(error))
            self._finish()


def main(args: Sequence[str] | None = None) -> int:
    """Record until SIGINT, SIGTERM or the end that was asked for; return the exit status.

    It is 1 where nothing was recorded, and where the recording ended early; what is there then is whole all the same.
    """
    program = BagProgram("record", _DESCRIPTION, "example: record /image /depth/image --out run_1")
    add_record_options(program.parser)

    def record(words: argparse.Namespace) -> int:
        options = record_options(words)
        with BagWriter(options.out) as bag:
            status = program.run(lambda finish: Recorder(finish, bag, options), _CLOSE_S)
            if not sum(bag.counts.values()):
                raise DataError(f"{bag.path}: nothing was recorded, so there is no bag")
        terminal = Terminal()
        for topic, count in sorted(bag.counts.items()):
            terminal.say(f"{count:6d}  {topic}")
        terminal.say(str(bag.path))
        return status

    return program.main(record, args)


if __name__ == "__main__":
    sys.exit(main())
