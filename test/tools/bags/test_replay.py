"""Replay over real DDS: the bytes of the bag, in order, with the bag's timing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.messages import image_to_rgb, stamp_ns
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.definitions import Definition
from space_clip_ros.tools.bags.kitti_to_bag import write_bag
from space_clip_ros.tools.bags.options import BagOptions, ReplayOptions
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.replay import Replay
from space_clip_ros.tools.bags.writer import BagWriter

HOUR_NS = 3_600_000_000_000
TOPICS = {"image": Image, "camera_info": CameraInfo, "velodyne_points": PointCloud2, "ground_truth/image": Image}


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def drive_bag(request: pytest.FixtureRequest, small_drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bag") / "bag"
    write_bag(small_drive, path, BagOptions(storage=request.param))
    return path


@pytest.fixture(scope="module")
def latched_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two latched headers at the start, then a volatile one every 10 ms."""
    path = tmp_path_factory.mktemp("latched") / "bag"
    with BagWriter(path) as bag:
        bag.add("/latched", "std_msgs/msg/Header", qos.STATIC_TF)
        bag.add("/tick", "std_msgs/msg/Header", qos.SENSOR)
        for index in range(2):
            bag.write("/latched", index, messages.header(index, f"latched {index}"))
        for index in range(20):
            bag.write("/tick", 10 + index * 10_000_000, messages.header(index, f"tick {index}"))
    return path


class Listener:
    """Collects what is published while a bag is played."""

    def __init__(self, spinning: Callable[..., Any], until: Callable[..., None]) -> None:
        self.node = spinning(rclpy.create_node("listener"))
        self.got: dict[str, list[Any]] = {}
        self.finished = threading.Event()
        self.until = until

    def listen(self, kind: Any, topic: str, latched: bool = False, raw: bool = False) -> list[Any]:
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        self.got[topic] = []
        self.node.create_subscription(
            kind, topic, self.got[topic].append, QoSProfile(depth=200, durability=durability), raw=raw
        )
        return self.got[topic]

    def play(self, path: Path, during: Callable[[], None] = lambda: None, **options: Any) -> str:
        with BagReader(path) as bag:
            replay = Replay(self.finished.set, bag, ReplayOptions(str(path), **options))
            during()
            assert options.get("loop") or self.finished.wait(30)
            farewell = replay.close()
            assert replay.error is None
            replay.destroy_node()
        return farewell


@pytest.fixture
def listener(spinning: Callable[..., Any], until: Callable[..., None]) -> Listener:
    return Listener(spinning, until)


def test_the_bags_bytes_arrive_in_order(listener: Listener, drive_bag: Path) -> None:
    got = {topic: listener.listen(kind, topic, raw=True) for topic, kind in TOPICS.items()}
    farewell = listener.play(drive_bag, rate=2.0)
    listener.until(lambda: all(len(items) == 5 for items in got.values()), "every message")
    with BagReader(drive_bag) as bag:
        for topic, items in got.items():
            assert [bytes(item) for item in items] == [data for _, _, data in bag.messages([f"/{topic}"])], topic
    assert "messages of" in farewell


def test_subscribers_get_what_the_drive_holds(listener: Listener, drive_bag: Path, small_drive: Path) -> None:
    images = listener.listen(Image, "image")
    listener.play(drive_bag, topics=("image",), rate=4.0)
    listener.until(lambda: len(images) == 5, "every image")
    drive = KittiDrive(small_drive)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(image_to_rgb(image), drive.image(index))
    stamps = [image.header.stamp.sec * 10**9 + image.header.stamp.nanosec for image in images]
    assert stamps == drive.stamps_ns.tolist()


def test_late_subscribers_get_every_latched_message(listener: Listener, latched_bag: Path) -> None:
    ticks = listener.listen(Header, "tick")
    results: list[Any] = []

    def come_late() -> None:
        listener.until(lambda: len(ticks) > 3, "some ticks")
        results.append(listener.listen(Header, "latched", latched=True))
        listener.until(lambda: len(results[0]) >= 2, "what was latched")

    listener.play(latched_bag, come_late, rate=0.05, loop=True)
    assert [header.frame_id for header in results[0][:2]] == ["latched 0", "latched 1"]


def test_a_start_leaves_out_what_is_earlier_but_not_what_is_latched(listener: Listener, latched_bag: Path) -> None:
    ticks, latched = listener.listen(Header, "tick"), listener.listen(Header, "latched", latched=True)
    listener.play(latched_bag, start=0.1, duration=0.05)
    listener.until(lambda: len(ticks) == 5 and len(latched) == 2, "ticks and latched")
    assert [tick.frame_id for tick in ticks] == [f"tick {index}" for index in range(10, 15)]


def test_stamps_of_now_keep_equal_stamps_equal(listener: Listener, drive_bag: Path) -> None:
    images, truths = listener.listen(Image, "image"), listener.listen(Image, "ground_truth/image")
    before = time.time_ns()
    listener.play(drive_bag, topics=("image", "ground_truth/image"), rate=2.0, stamps="now")
    listener.until(lambda: len(images) == len(truths) == 5, "every image")
    stamps = [stamp_ns(image) for image in images]
    assert stamps == [stamp_ns(truth) for truth in truths]
    assert before < stamps[0] < stamps[-1] < time.time_ns()
    with BagReader(drive_bag) as bag:
        own = [stamp for _, stamp, _ in bag.messages(["/image"])]
    np.testing.assert_allclose(np.diff(stamps), np.diff(own) / 2, atol=1)


def test_the_player_can_wait_for_a_subscriber_of_one_topic(listener: Listener, latched_bag: Path) -> None:
    """A subscriber of the latched topic alone does not start it; one of the ticks does."""
    listener.listen(Header, "latched", latched=True)
    ticks: list[list[Any]] = []

    def come_late() -> None:
        listener.until(lambda: listener.node.count_publishers("/tick"), "the player")
        time.sleep(0.7)
        ticks.append(listener.listen(Header, "tick"))

    listener.play(latched_bag, come_late, wait=60.0, wait_for="tick", settle=0.2)
    listener.until(lambda: len(ticks[0]) == 20, "every tick")


def test_several_subscribers_can_be_waited_for(listener: Listener, latched_bag: Path) -> None:
    both = [listener.listen(Header, "tick")]

    def come_late() -> None:
        listener.until(lambda: listener.node.count_publishers("/tick"), "the player")
        time.sleep(0.7)
        both.append(listener.listen(Header, "tick"))

    listener.play(latched_bag, come_late, wait=60.0, wait_for="tick", subscribers=2, settle=0.2)
    listener.until(lambda: [len(ticks) for ticks in both] == [20, 20], "every tick, twice")


def test_a_loop_goes_on_until_it_is_stopped(listener: Listener, latched_bag: Path) -> None:
    ticks = listener.listen(Header, "tick")

    def wait() -> None:
        listener.until(lambda: len(ticks) >= 45, "two passes and more")

    listener.play(latched_bag, wait, loop=True, topics=("/tick",))
    assert [tick.frame_id for tick in ticks[:45]] == [f"tick {index % 20}" for index in range(45)]


def test_the_clock_runs_with_the_bag(listener: Listener, latched_bag: Path) -> None:
    clock, ticks = listener.listen(Clock, "/clock"), listener.listen(Header, "tick")
    listener.play(latched_bag, clock=True, rate=0.5)
    listener.until(lambda: len(ticks) == 20, "every tick")

    def times() -> list[int]:
        return [message.clock.sec * 10**9 + message.clock.nanosec for message in clock]

    listener.until(lambda: times()[-1] >= 190_000_000, "the time of the last tick")
    assert times() == sorted(times())
    assert times()[-1] < HOUR_NS, "the bag's time, not the machine's"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"topics": ("/nothing",)}, InputError, "has no /nothing; it has /latched, /tick"),
        ({"start": 9.0}, InputError, "start: must be within"),
        ({"topics": ("/tick",), "wait_for": "/latched"}, InputError, "/latched of wait-for is not among"),
    ],
)
def test_what_cannot_be_played_is_refused(
    ros: int, latched_bag: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with BagReader(latched_bag) as bag, pytest.raises(error, match=message):
        Replay(lambda: None, bag, ReplayOptions(str(latched_bag), **options))


def test_qos_edited_in_the_metadata_plays_every_message(listener: Listener, latched_bag: Path, tmp_path: Path) -> None:
    """Before, the library found no message where metadata.yaml and file differ, and nothing was played."""
    shutil.copytree(latched_bag, tmp_path / "bag")
    file = tmp_path / "bag" / "metadata.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for topic in content["rosbag2_bagfile_information"]["topics_with_message_count"]:
        topic["topic_metadata"]["offered_qos_profiles"] = [{"reliability": "reliable", "durability": "volatile"}]
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    ticks, latched = listener.listen(Header, "tick"), listener.listen(Header, "latched")
    listener.play(tmp_path / "bag", rate=4.0)
    listener.until(lambda: len(ticks) == 20 and len(latched) == 2, "every message")


@pytest.mark.parametrize("loop", [[], ["--loop"]], ids=["once", "looped"])
@pytest.mark.parametrize(
    "chosen", [["--topics", "/gap", "--start", "0.05"], ["--topics", "/silent"]], ids=["no message left", "silent"]
)
def test_nothing_played_is_an_error(domain: int, tmp_path: Path, chosen: list[str], loop: list[str]) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        for name in ("/gap", "/silent", "/tick"):
            bag.add(name, "std_msgs/msg/Header", qos.SENSOR)
        bag.write("/gap", 0, messages.header(0, "gap"))
        for stamp in (0, 100_000_000):
            bag.write("/tick", stamp, messages.header(0, "tick"))
    result = run(domain, tmp_path / "bag", *chosen, *loop, "--wait", "0")
    assert result.returncode == 1
    assert f"bag: nothing to play: no message of {chosen[1]} in the part chosen; choose other topics" in result.stderr


def test_what_is_unusual_about_a_bag_is_said(domain: int, latched_bag: Path, tmp_path: Path) -> None:
    shutil.copytree(latched_bag, tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    result = run(domain, tmp_path / "bag", "--wait", "0", "--rate", "10")
    assert result.returncode == 0, result.stderr
    assert "has no metadata.yaml, so the recorder may have been killed; read bag.mcap" in result.stderr


def test_topics_of_unknown_packages_are_left_out(ros: int, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/x", "no_such_msgs/msg/Type", qos.SENSOR, Definition("int32 value\n", "RIHS01_" + 64 * "0"))
        bag.write_serialized("/x", 5, b"\0\1\0\0\0\0\0\0")
    with BagReader(tmp_path / "bag") as reader, pytest.raises(DataError, match="no topic that can be played"):
        Replay(lambda: None, reader, ReplayOptions(""))


def test_topics_left_out_give_one_warning_per_package(domain: int, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/tick", "std_msgs/msg/Header", qos.SENSOR)
        bag.write("/tick", 5, messages.header(0, "tick"))
        for topic in ("/x", "/y"):
            bag.add(topic, "no_such_msgs/msg/Type", qos.SENSOR, Definition("int32 value\n", "RIHS01_" + 64 * "0"))
    result = run(domain, tmp_path / "bag", "--wait", "0")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("left out") == 1
    assert "left out: /x, /y; to play them, install the ROS package no_such_msgs" in result.stderr


def run(domain: int, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "space_clip_ros.cli.main", "replay", *map(str, words)]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=environment)


def test_the_command_plays_to_the_end_and_says_so(domain: int, latched_bag: Path) -> None:
    result = run(domain, latched_bag, "--wait", "0.1")
    assert result.returncode == 0, result.stderr
    assert "too few subscribers after 0.1 s" in result.stderr
    assert "played 22 messages of 2 topics" in result.stderr


def test_a_damaged_bag_is_one_line(domain: int, tmp_path: Path) -> None:
    result = run(domain, tmp_path / "missing")
    assert result.returncode == 1
    assert "missing: no such bag" in result.stderr
    assert "Traceback" not in result.stderr


def headers(path: Path, *stamps_ns: int) -> Path:
    """Write a bag of headers on ``/tick`` with these times."""
    with BagWriter(path) as bag:
        bag.add("/tick", "std_msgs/msg/Header", qos.SENSOR)
        for stamp in stamps_ns:
            bag.write("/tick", stamp, messages.header(0, "tick"))
    return path


def test_an_error_that_nobody_expected_ends_it(listener: Listener, latched_bag: Path) -> None:
    """Once, such an error left a node that never ended."""
    ticks = listener.listen(Header, "tick")
    with BagReader(latched_bag) as bag:
        replay = Replay(listener.finished.set, bag, ReplayOptions(str(latched_bag), loop=True))
        listener.until(lambda: ticks, "a tick")
        for publisher in [publisher for publisher in replay.publishers if publisher.topic_name == "/tick"]:
            replay.destroy_publisher(publisher)
        assert listener.finished.wait(30)
        assert str(replay.error).startswith(f"{latched_bag}: internal error, InvalidHandle: ")
        replay.close()
        replay.destroy_node()


def test_a_long_gap_is_said_with_the_start_that_skips_it(domain: int, tmp_path: Path) -> None:
    """One message of time 0 before the others, as a recorder writes it before it hears the clock."""
    bag = headers(tmp_path / "bag", 0, 1_700_000_000_500_000_000, 1_700_000_000_600_000_000)
    command = [sys.executable, "-m", "space_clip_ros.tools.bags.replay", str(bag), "--wait", "0"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert "--start 1700000000 skips this gap" in line + process.stderr.read()
    result = run(domain, bag, "--wait", "0", "--start", "1700000000")
    assert result.returncode == 0, result.stderr
    assert "played 2 messages of 1 topics" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_well(domain: int, latched_bag: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "space_clip_ros.tools.bags.replay", str(latched_bag), "--loop", "--wait", "0.1"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        assert "too few subscribers" in process.stderr.readline()
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(30) == 0
    assert "played" in rest
    assert "Traceback" not in rest
