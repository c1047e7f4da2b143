"""What is played when, in a bag of five transforms at 10 Hz and one latched message before them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.options import ReplayOptions
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.schedule import Schedule
from space_clip_ros.tools.bags.writer import BagWriter

START = 1_000_000_000_000_000_000
TENTH = 100_000_000


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BagReader]:
    path = tmp_path_factory.mktemp("bag") / "bag"
    with BagWriter(path) as writer:
        writer.add("/tf_static", "tf2_msgs/msg/TFMessage", qos.STATIC_TF)
        writer.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
        writer.write("/tf_static", START, messages.transforms())
        for index in range(5):
            writer.write("/tf", START + index * TENTH, messages.transforms())
    with BagReader(path) as reader:
        yield reader


def played(bag: BagReader, count: int | None = None, **options: Any) -> list[tuple[float, str]]:
    schedule = Schedule(bag, list(bag.topics.values()), ReplayOptions("", **options))
    return [(due.offset_ns / TENTH, due.topic) for due in itertools.islice(schedule, count)]


def test_every_message_is_due_once_at_its_stamp(bag: BagReader) -> None:
    assert played(bag) == [(0, "/tf_static"), (0, "/tf"), (1, "/tf"), (2, "/tf"), (3, "/tf"), (4, "/tf")]


def test_latched_messages_from_before_the_start_come_first(bag: BagReader) -> None:
    assert played(bag, start=0.3) == [(0, "/tf_static"), (0, "/tf"), (1, "/tf")]


def test_a_duration_ends_it(bag: BagReader) -> None:
    assert played(bag, start=0.1, duration=0.2) == [(0, "/tf_static"), (0, "/tf"), (1, "/tf")]


def test_a_second_pass_starts_a_period_after_the_first_ones_end(bag: BagReader) -> None:
    expected = [(0, "/tf_static"), *((index, "/tf") for index in range(5)), (5, "/tf_static"), (5, "/tf"), (6, "/tf")]
    assert played(bag, 9, loop=True) == expected
    assert [offset for offset, _ in played(bag, 5, loop=True, start=0.2, duration=0.2)] == [0, 0, 1, 2, 3]


def test_each_message_knows_when_its_pass_began(bag: BagReader) -> None:
    schedule = Schedule(bag, list(bag.topics.values()), ReplayOptions("", loop=True))
    begun = [due.pass_offset_ns / TENTH for due in itertools.islice(schedule, 8)]
    assert begun == [0, 0, 0, 0, 0, 0, 5, 5]


def test_a_loop_of_one_message_does_not_run_wild(bag: BagReader) -> None:
    schedule = Schedule(bag, [bag.topics["/tf_static"]], ReplayOptions("", loop=True))
    assert schedule.pass_ns >= TENTH


def test_a_start_beyond_the_end_is_refused(bag: BagReader) -> None:
    with pytest.raises(InputError, match=r"start: must be within the bag's 0\.4 s, got 0\.5"):
        played(bag, start=0.5)
