"""When each message of a bag is to be played, pass after pass; without ROS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from space_clip_ros.errors import InputError
from space_clip_ros.tools.bags.options import ReplayOptions
from space_clip_ros.tools.bags.qos import is_latched
from space_clip_ros.tools.bags.reader import BagReader, Topic

_LONE_PASS_NS = 100_000_000
"""How long a pass lasts beyond its last message where one message a topic gives no rate, nanoseconds."""


class Due(NamedTuple):
    """A message and when it is to go out, in bag nanoseconds since the start of the first pass.

    ``pass_offset_ns`` says when its pass began, in the same time.
    """

    offset_ns: int
    pass_offset_ns: int
    topic: str
    data: bytes


class Schedule:
    """The messages of a bag in playing order, pass after pass.

    Latched messages from before the start go out first, as their subscribers would have had them by then. A pass ends
    one period of the busiest topic after its last message, so that the next one does not fall onto it.

    Raises:
        InputError: ``start`` is beyond the bag's end.
    """

    def __init__(self, bag: BagReader, topics: Sequence[Topic], options: ReplayOptions) -> None:
        """``topics``: those to play."""
        self._bag = bag
        self._topics = topics
        self._loop = options.loop
        self.start_ns = bag.start_ns + round(options.start * 1e9)
        if self.start_ns > bag.end_ns:
            length = (bag.end_ns - bag.start_ns) / 1e9
            raise InputError(f"start must be within the bag's {length:g} s, got {options.start:g}")
        steps = max(topic.count for topic in topics) - 1
        period = (bag.end_ns - bag.start_ns) // steps if steps > 0 else 0
        self.pass_ns = bag.end_ns - self.start_ns + (period or _LONE_PASS_NS)
        if options.duration:
            self.pass_ns = min(self.pass_ns, round(options.duration * 1e9))

    def __iter__(self) -> Iterator[Due]:
        """Yield messages by their moment, without end where the bag is looped."""
        latched = [topic.name for topic in self._topics if is_latched(topic.offered)]
        for name, _, data in self._bag.messages(latched, None, self.start_ns):
            yield Due(0, 0, name, data)
        names, stop = [topic.name for topic in self._topics], self.start_ns + self.pass_ns
        begun = 0
        while True:
            for name, stamp, data in self._bag.messages(names, self.start_ns, stop):
                yield Due(begun + stamp - self.start_ns, begun, name, data)
            begun += self.pass_ns
            if not self._loop:
                return
