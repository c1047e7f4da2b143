from __future__ import annotations

import argparse
from typing import Any

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.bags.options import BagOptions, RecordOptions, ReplayOptions
from space_clip_ros.tools.program_options import ProgramOptions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cameras": ()}, "cameras: must be some of"),
        ({"cameras": ("color_left", "color_left")}, "each once"),
        ({"cameras": ("front",)}, "front"),
        ({"compressed": "gif"}, "compressed: must be one of jpeg, png, got 'gif'"),
        ({"truth": "exact"}, "truth: must be one of scan, annotated, none"),
        ({"storage": "zip"}, "storage: must be one of mcap, sqlite3"),
    ],
)
def test_what_cannot_be_written_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BagOptions(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 0.0}, "rate: must be at least 0.01, got 0"),
        ({"rate": 101.0}, "rate: must be at most 100, got 101"),
        ({"rate": float("nan")}, "rate: must be a number"),
        ({"start": -1.0}, "start: must be at least 0, got -1"),
        ({"duration": float("inf")}, "duration: must be .*, got inf"),
        ({"wait": -0.1}, "wait: must be at least 0"),
        ({"stamps": "later"}, "stamps: must be one of bag, now, got 'later'"),
        ({"stamps": "now", "clock": True}, "clock: carries the bag's time, so it needs the bag's stamps"),
    ],
)
def test_what_cannot_be_played_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReplayOptions("bag", **values)


@pytest.mark.parametrize("values", [{"duration": -1.0}, {"max_mb": -1.0}, {"max_mb": float("nan")}])
def test_what_cannot_be_recorded_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="must be"):
        RecordOptions("bag", **values)


@pytest.mark.parametrize(
    "topic", ["/image=", "=sensor_msgs/msg/Image", "/image=sensor_msgs/Image", "/image=std_msgs/msg/", "/a=b=c/msg/D"]
)
def test_a_type_is_written_in_full(topic: str) -> None:
    with pytest.raises(InputError, match=f"^{topic}: is not NAME=TYPE; write it as /image=sensor_msgs/msg/Image$"):
        RecordOptions("bag", ("/tf", topic))


@pytest.mark.parametrize(
    "options",
    [
        ReplayOptions("bag"),
        ReplayOptions("a bag", 0.1, True, 1.25, 1e-3, ("/image", "/tf"), True, 0.0),
        ReplayOptions("bag", stamps="now", settle=2.5, wait_for="/image", subscribers=3),
        RecordOptions("bag"),
        RecordOptions("a bag", ("/image=sensor_msgs/msg/Image", "/tf"), 1.25, 100.0),
        BagOptions(cameras=("gray_left", "color_left"), compressed="png"),
    ],
)
def test_options_survive_a_command_line(options: ProgramOptions) -> None:
    parser = argparse.ArgumentParser()
    options.add_to(parser)
    assert options.parsed(parser.parse_args(options.arguments())) == options
