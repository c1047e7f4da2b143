from __future__ import annotations

import argparse
from typing import Any

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.bags.options import (
    BagOptions,
    RecordOptions,
    ReplayOptions,
    add_record_options,
    add_replay_options,
    record_arguments,
    record_options,
    replay_arguments,
    replay_options,
)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cameras": ()}, "cameras must be some of"),
        ({"cameras": ("color_left", "color_left")}, "each once"),
        ({"cameras": ("front",)}, "front"),
        ({"compressed": "gif"}, "compressed must be one of jpeg, png, None, got 'gif'"),
        ({"truth": "exact"}, "truth must be one of"),
        ({"storage": "zip"}, "storage must be one of mcap, sqlite3"),
    ],
)
def test_what_cannot_be_written_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BagOptions(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 0.0}, "rate must be from 0.01 to 100, got 0"),
        ({"rate": float("nan")}, "rate must be"),
        ({"start": -1.0}, "start must be 0 or more seconds, got -1"),
        ({"duration": float("inf")}, "duration must be"),
        ({"wait": -0.1}, "wait must be"),
        ({"stamps": "later"}, "stamps must be bag or now, got 'later'"),
        ({"stamps": "now", "clock": True}, "clock carries the bag's time, so it needs stamps of the bag"),
    ],
)
def test_what_cannot_be_played_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReplayOptions("bag", **values)


@pytest.mark.parametrize(
    "options",
    [
        ReplayOptions("bag"),
        ReplayOptions("a bag", 0.1, True, 1.25, 1e-3, ("/image", "/tf"), True, 0.0),
        ReplayOptions("bag", stamps="now", settle=2.5, wait_for="/image"),
    ],
)
def test_options_survive_the_way_through_a_command_line(options: ReplayOptions) -> None:
    parser = argparse.ArgumentParser()
    add_replay_options(parser)
    assert replay_options(parser.parse_args(replay_arguments(options))) == options


@pytest.mark.parametrize("values", [{"duration": -1.0}, {"max_mb": -1.0}, {"max_mb": float("nan")}])
def test_what_cannot_be_recorded_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="must be 0 or more"):
        RecordOptions("bag", **values)


def test_options_of_a_recording_survive_too() -> None:
    options = RecordOptions("a bag", ("/image=sensor_msgs/msg/Image", "/tf"), 1.25, 100.0)
    parser = argparse.ArgumentParser()
    add_record_options(parser)
    assert record_options(parser.parse_args(record_arguments(options))) == options
