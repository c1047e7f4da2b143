"""Node ``replay``: plays a rosbag2 over DDS with its own timing, on machines without rosbag2.

Messages are published as the bytes that lie in the bag; nothing is decoded. ``space_clip replay`` runs it.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from space_clip_ros.errors import DataError, InputError, SpaceClipError
from space_clip_ros.ros.drive.playback import Pacer, Prefetcher, wait_for_subscribers
from space_clip_ros.tools.bags.options import ReplayOptions, add_replay_options, replay_options
from space_clip_ros.tools.bags.reader import BagReader, Topic
from space_clip_ros.tools.bags.restamp import restamped
from space_clip_ros.tools.bags.schedule import Due, Schedule
from space_clip_ros.tools.bags.serialized import message_class, played_qos
from space_clip_ros.tools.program import BagProgram

_DESCRIPTION = "Plays a rosbag2 over DDS with its own timing; no rosbag2 needed."
_AHEAD = 32
_LATE_S = 0.05
_CLOCK_PERIOD_S = 0.01
_DELIVERY_S = 2.0


class Replay(Node):
    """Publishes a bag's messages at their moments.

    A topic whose message package is not installed is left out, and said so once. Where header stamps are the bag's,
    subscribers that compare them with their clock want ``clock`` and ``use_sim_time``; with ``loop`` they jump back.

    Raises:
        DataError: the bag cannot be read, or none of its topics can be played.
        InputError: a topic that the bag lacks, or a start beyond its end.
    """

    def __init__(self, finish: Callable[[], None], bag: BagReader, options: ReplayOptions, **more: Any) -> None:
        """Create the publishers and start playing ``bag``, which is open; ``finish`` is called at its end."""
        super().__init__("replay", **more)
        self._options = options
        self._bag = bag
        topics = self._playable()
        self._schedule = Schedule(bag, topics, options)
        self._clock_publisher = self.create_publisher(Clock, "/clock", 10) if options.clock else None
        self._targets = {topic.name: self._create(topic) for topic in topics}
        self._stopping = threading.Event()
        self._pacer = Pacer(self._stopping, _LATE_S)
        self._sent = 0
        self._last_s = 0.0
        self._began_ns = 0
        self.error: SpaceClipError | None = None
        self._finish = finish
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)
        self._thread.start()

    def close(self) -> str:
        """Stop playing, and say what was played."""
        self._stopping.set()
        self._thread.join()
        return (
            f"played {self._sent} messages of {len(self._targets)} topics in {self._last_s:.1f} s, "
            f"{self._pacer.late} of them late ({self._pacer.worst_s * 1e3:.0f} ms at most)"
        )

    def _playable(self) -> list[Topic]:
        wanted = [_full(name) for name in self._options.topics]
        missing = [name for name in wanted if name not in self._bag.topics]
        if missing:
            raise InputError(f"{self._bag.path}: has no {', '.join(missing)}; it has {', '.join(self._bag.topics)}")
        chosen = [topic for name, topic in self._bag.topics.items() if not wanted or name in wanted]
        if self._options.clock:
            chosen = [topic for topic in chosen if topic.name != "/clock"]
        found = [topic for topic in chosen if message_class(topic.kind) is not None]
        lacking: dict[str, list[str]] = {}
        for topic in chosen:
            if topic not in found:
                lacking.setdefault(topic.kind.partition("/")[0], []).append(topic.name)
        for package, names in lacking.items():
            self.get_logger().warning(f"left out: {', '.join(names)}; to play them, install the ROS package {package}")
        if not found:
            raise DataError(f"{self._bag.path}: has no topic that can be played here")
        awaited = self._options.wait_for
        if awaited and _full(awaited) not in [topic.name for topic in found]:
            raise InputError(f"{self._bag.path}: {awaited}, to be waited for, is not among the topics played")
        return found

    def _create(self, topic: Topic) -> Any:
        kind: Any = message_class(topic.kind)
        return self.create_publisher(kind, topic.name, played_qos(topic.offered, topic.count))

    def _run(self) -> None:
        try:
            self._play()
        except SpaceClipError as error:
            self.error = error
            self.get_logger().fatal(str(error))
        self._finish()

    def _play(self) -> None:
        messages = iter(self._schedule)
        ahead: Prefetcher[Due | None] = Prefetcher(lambda _: next(messages, None), sys.maxsize, _AHEAD)
        try:
            self._wait_for_subscriber()
            self._pacer.start()
            self._began_ns = time.time_ns()
            for message in ahead:
                if message is None or not self._send(message):
                    break
        finally:
            ahead.stop()
        if not self._stopping.is_set():
            for publisher in self._targets.values():
                publisher.wait_for_all_acked(Duration(seconds=_DELIVERY_S))

    def _send(self, message: Due) -> bool:
        """Publish a message at its moment; False when stopped."""
        due_s = message.offset_ns / 1e9 / self._options.rate
        if not self._pacer.wait_until(due_s, _CLOCK_PERIOD_S, self._publish_clock):
            return False
        self._pacer.note(due_s)
        self._publish_clock()
        # rclpy publishes bytes as they are.
        self._targets[message.topic].publish(self._stamped(message))
        self._sent += 1
        self._last_s = self._pacer.elapsed_s
        return True

    def _stamped(self, message: Due) -> bytes:
        if self._options.stamps == "bag":
            return message.data

        def move(stamp_ns: int) -> int:
            # Equal stamps stay equal, and their distances follow the rate.
            elapsed = message.pass_offset_ns + stamp_ns - self._schedule.start_ns
            return self._began_ns + round(elapsed / self._options.rate)

        return restamped(self._bag.topics[message.topic].kind, message.data, move)

    def _publish_clock(self) -> None:
        if self._clock_publisher is not None:
            elapsed = round(self._pacer.elapsed_s * self._options.rate * 1e9)
            seconds, nanoseconds = divmod(self._schedule.start_ns + elapsed % self._schedule.pass_ns, 1_000_000_000)
            self._clock_publisher.publish(Clock(clock=Time(sec=seconds, nanosec=nanoseconds)))

    def _wait_for_subscriber(self) -> None:
        patience = self._options.wait
        if not wait_for_subscribers(self._stopping, self._listening, patience, self._options.settle) and patience:
            self.get_logger().warning(f"too few subscribe after {patience:g} s; playing all the same")

    def _listening(self) -> int:
        counts = {name: publisher.get_subscription_count() for name, publisher in self._targets.items()}
        awaited, total = self._options.wait_for, sum(counts.values())
        return total if (counts[_full(awaited)] if awaited else total) >= self._options.subscribers else 0


def _full(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return its exit status, 1 if the bag could not be played to its end."""
    program = BagProgram("replay", _DESCRIPTION, "example: replay drive_0005 --clock --ros-args -r image:=/front")
    add_replay_options(program.parser)

    def play(words: argparse.Namespace) -> int:
        options = replay_options(words)
        with BagReader(options.bag) as bag:
            return program.run(lambda finish: Replay(finish, bag, options))

    return program.main(play, args)


if __name__ == "__main__":
    sys.exit(main())
