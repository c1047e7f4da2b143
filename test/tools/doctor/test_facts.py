"""Facts, and probes that fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from space_clip_ros.errors import BackendError
from space_clip_ros.tools.doctor.facts import Fact, Question, ask, size


def fails_midway() -> Iterator[Fact]:
    yield Fact("first", 1)
    raise BackendError("it", "is broken", "mend it")


def exits() -> Iterator[Fact]:
    raise SystemExit("a library that ends the program")
    yield Fact("never")


def test_a_probe_that_fails_is_a_line_after_what_it_found() -> None:
    assert ask(Question("s", "name", fails_midway)) == [
        Fact("first", 1),
        Fact("name", problem="it: is broken; mend it"),
    ]
    assert ask(Question("s", "name", exits))[0].shown == "not known: SystemExit: a library that ends the program"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "none"),
        (True, "yes"),
        (["a", 2], "a, 2"),
        ([], "none"),
        ({"a": 1, "b": [False]}, "a 1, b no"),
        (3.5, "3.5"),
    ],
)
def test_a_value_without_a_text_of_its_own(value: object, shown: str) -> None:
    assert Fact("name", value).shown == shown


def test_sizes() -> None:
    assert [size(count) for count in (0, 212992, 64 << 20, 24 << 30)] == ["0 KiB", "208 KiB", "64 MiB", "24.0 GiB"]
