"""When each message of a bag is played, pass after pass; needs no ROS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from space_clip_ros.errors import InputError
from space_clip_ros.tools.bags.options import ReplayOptions
from space_clip_ros.tools.bags.qos import is_latched
from space_clip_ros.tools.bags.reader import BagReader, Topic

_LONE_PASS_NS = 100_000_000
"""Time from the last message to the end of a pass if no topic has two messages and so a rate, nanoseconds."""


class Due(NamedTuple):
    """A message to play.

    Attributes:
        offset_ns: when it is due, in nanoseconds of bag time since the start of the first pass.
        pass_offset_ns: when its pass began, in the same time.
        topic: its topic.
        data: the message as CDR.
    """

    offset_ns: int
    pass_offset_ns: int
    topic: str
    data: bytes


class Schedule:
    """The messages of a bag in the order they are played, pass after pass.

    Latched messages from before the start come first, because their subscribers would have them by then. A pass ends
    one period of the busiest topic after its last message, so that this message and the next pass's first one do not
    coincide.

    Args:
        bag: an open bag.
        topics: the topics to play.
        options: where to start, how much to play and whether to loop.

    Raises:
        InputError: ``start`` is beyond the bag's end.
    """

    def __init__(self, bag: BagReader, topics: Sequence[Topic], options: ReplayOptions) -> None:
        """Find where a pass starts and ends."""
        self._bag = bag
        self._topics = topics
        self._loop = options.loop
        self.start_ns = bag.start_ns + round(options.start * 1e9)
        if self.start_ns > bag.end_ns:
            length = (bag.end_ns - bag.start_ns) / 1e9
            raise InputError("start", f"must be within the bag's {length:g} s, got {options.start:g}")
        steps = max(topic.count for topic in topics) - 1
        period = (bag.end_ns - bag.start_ns) // steps if steps > 0 else 0
        self.pass_ns = bag.end_ns - self.start_ns + (period or _LONE_PASS_NS)
        if options.duration:
            self.pass_ns = min(self.pass_ns, round(options.duration * 1e9))

    def __iter__(self) -> Iterator[Due]:
        """Yield the messages in the order they are due; endless if the bag is looped and a pass has messages."""
        latched = [topic.name for topic in self._topics if is_latched(topic.offered)]
        for name, _, data in self._bag.messages(latched, None, self.start_ns):
            yield Due(0, 0, name, data)
        names, stop = [topic.name for topic in self._topics], self.start_ns + self.pass_ns
        pass_offset_ns, played = 0, False
        while True:
            for name, stamp, data in self._bag.messages(names, self.start_ns, stop):
                played = True
                yield Due(pass_offset_ns + stamp - self.start_ns, pass_offset_ns, name, data)
            pass_offset_ns += self.pass_ns
            if not self._loop or not played:
                return
