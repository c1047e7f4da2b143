"""Node ``replay``: plays a rosbag2 over DDS with its own timing, on machines without rosbag2.

Messages are published as the bytes in the bag; nothing is decoded. ``space_clip replay`` runs this node.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from space_clip_ros.data.read_ahead import read_ahead
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.ros.drive.playback import wait_for_subscribers
from space_clip_ros.ros.drive.playback_node import PlaybackNode
from space_clip_ros.tools.bags.options import ReplayOptions
from space_clip_ros.tools.bags.reader import BagReader, Topic
from space_clip_ros.tools.bags.restamp import restamped
from space_clip_ros.tools.bags.schedule import Due, Schedule
from space_clip_ros.tools.bags.serialized import installed_class, played_qos
from space_clip_ros.tools.program import NodeProgram

_DESCRIPTION = "Plays a rosbag2 over DDS with its own timing; no rosbag2 needed."
_AHEAD = 32
_LATE_S = 0.05
_GAP_S = 60.0
"""Longest wait for the next message without a log line, seconds."""


class Replay(PlaybackNode):
    """Publishes a bag's messages when they are due.

    Topics whose message package is not installed are left out, with one warning per package. If header stamps stay the
    bag's, subscribers that compare them with their clock need ``clock`` and ``use_sim_time``; with ``loop`` the stamps
    jump back at each new pass.

    Attributes:
        error: why playing ended early or nothing was played; None if all was.

    Raises:
        DataError: none of the bag's topics can be played.
        InputError: a topic that the bag lacks, or a start beyond its end.
    """

    def __init__(
        self, finish: Callable[[], None], bag: BagReader, options: ReplayOptions, **node_arguments: Any
    ) -> None:
        """Create the publishers and start playing.

        Args:
            finish: called at the end of the bag.
            bag: an open bag.
            options: how to play it.
            node_arguments: for :class:`rclpy.node.Node`.
        """
        super().__init__("replay", finish, **node_arguments)
        self._options = options
        self._bag = bag
        for note in bag.notes:
            self.get_logger().warning(f"{bag.path}: {note}")
        topics = self._playable()
        self._schedule = Schedule(bag, topics, options)
        self._targets = {topic.name: self._create(topic) for topic in topics}
        self._began_ns = 0
        self.start(bag.path, _LATE_S, self._played_ns if options.clock else None)

    def close(self) -> str:
        """Stop playing, and return a line about what was played."""
        lateness = super().close()
        return f"played {self.sent} messages of {len(self._targets)} topics in {self.last_s:.1f} s, {lateness}"

    def _playable(self) -> list[Topic]:
        wanted = [_absolute(name) for name in self._options.topics]
        missing = [name for name in wanted if name not in self._bag.topics]
        if missing:
            raise InputError(self._bag.path, f"has no {', '.join(missing)}", f"it has {', '.join(self._bag.topics)}")
        chosen = [topic for name, topic in self._bag.topics.items() if not wanted or name in wanted]
        if self._options.clock:
            chosen = [topic for topic in chosen if topic.name != "/clock"]
        playable: list[Topic] = []
        left_out: dict[str, list[str]] = {}
        for topic in chosen:
            try:
                installed_class(topic.kind)
                playable.append(topic)
            except InputError as error:
                left_out.setdefault(error.remedy, []).append(topic.name)
        for remedy, names in left_out.items():
            self.get_logger().warning(f"left out: {', '.join(names)}; to play them, {remedy}")
        if not playable:
            raise DataError(self._bag.path, "has no topic that can be played here")
        awaited = self._options.wait_for
        if awaited and _absolute(awaited) not in [topic.name for topic in playable]:
            raise InputError(self._bag.path, f"{awaited} of wait-for is not among the topics played")
        return playable

    def _create(self, topic: Topic) -> Any:
        return self.create_publisher(installed_class(topic.kind), topic.name, played_qos(topic.offered, topic.count))

    def play(self) -> None:
        """Publish the messages, each when it is due."""
        with contextlib.closing(read_ahead(iter(self._schedule), _AHEAD)) as messages:
            # Taken before the wait, so that reading has begun when the first message is due.
            first = list(itertools.islice(messages, 1))
            if not first:
                raise DataError(
                    self._bag.path,
                    f"nothing to play: no message of {', '.join(self._targets)} in the part chosen",
                    "choose other topics, or another start and duration",
                )
            self._wait_for_subscriber()
            self.pacer.start()
            self._began_ns = time.time_ns()
            for message in itertools.chain(first, messages):
                if not self._send(message):
                    break
        if not self.stopping.is_set():
            self.deliver(self._targets.values())

    def _send(self, message: Due) -> bool:
        """Publish a message when it is due; return False when stopped."""
        due_s = message.offset_ns / 1e9 / self._options.rate
        self._warn_of_gap(message, due_s - self.pacer.elapsed_s)
        if not self.wait_until(due_s):
            return False
        self.pacer.note(due_s)
        self.publish_clock()
        # rclpy publishes bytes without serializing them again.
        self._targets[message.topic].publish(self._stamped(message))
        self.sent += 1
        self.last_s = self.pacer.elapsed_s
        return True

    def _warn_of_gap(self, message: Due, wait_s: float) -> None:
        if wait_s > _GAP_S:
            # Rounded down, so that the message is still played.
            start = math.floor((message.offset_ns - message.pass_offset_ns) / 1e9 + self._options.start)
            self.get_logger().warning(f"the next message comes in {wait_s:.0f} s; --start {start} skips this gap")

    def _stamped(self, message: Due) -> bytes:
        if self._options.stamps == "bag":
            return message.data

        def move(stamp_ns: int) -> int:
            # Equal stamps stay equal; the time between stamps is divided by the rate.
            elapsed = message.pass_offset_ns + stamp_ns - self._schedule.start_ns
            return self._began_ns + round(elapsed / self._options.rate)

        return restamped(self._bag.topics[message.topic].kind, message.data, move)

    def _played_ns(self) -> int:
        elapsed_ns = round(self.pacer.elapsed_s * self._options.rate * 1e9)
        return self._schedule.start_ns + (elapsed_ns % self._schedule.pass_ns if self._options.loop else elapsed_ns)

    def _wait_for_subscriber(self) -> None:
        patience = self._options.wait
        if not wait_for_subscribers(self.stopping, self._listening, patience, self._options.settle) and patience:
            self.get_logger().warning(f"too few subscribers after {patience:g} s; playing anyway")

    def _listening(self) -> int:
        counts = {name: publisher.get_subscription_count() for name, publisher in self._targets.items()}
        awaited, total = self._options.wait_for, sum(counts.values())
        return total if (counts[_absolute(awaited)] if awaited else total) >= self._options.subscribers else 0


def _absolute(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def main(args: Sequence[str] | None = None) -> int:
    """Run the node; return its exit status, 1 if the bag could not be played to its end."""
    example = "example: replay drive_0005 --clock --ros-args -r image:=/front"
    program = NodeProgram("replay", _DESCRIPTION, example, ReplayOptions)

    def play(options: ReplayOptions) -> int:
        with BagReader(options.bag) as bag:
            return program.run(lambda finish: Replay(finish, bag, options))

    return program.main(play, args)


if __name__ == "__main__":
    sys.exit(main())
