"""Recording over real DDS, in its own process as users run it; bags are read back with rosbags and mcap."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from space_clip_ros.errors import DataError
from space_clip_ros.messages import image_from_array
from space_clip_ros.tools.bags import record
from space_clip_ros.tools.bags.options import RecordOptions
from space_clip_ros.tools.bags.qos import is_latched
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter

PUBLISHERS: dict[str, tuple[Any, QoSProfile]] = {
    "/image": (Image, QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)),
    # Deep enough for every message of a test: on a busy machine older ones would be lost before they are sent.
    "/tick": (Header, QoSProfile(depth=100)),
    "/latched": (Header, QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)),
}


class Talker:
    """Publishes one image, tick and latched header at a time."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("talker")
        self.publishers = {
            topic: self.node.create_publisher(kind, topic, qos) for topic, (kind, qos) in PUBLISHERS.items()
        }
        self.image = image_from_array(np.arange(48, dtype=np.uint8).reshape(4, 4, 3), "rgb8", Header(frame_id="cam"))
        self.publishers["/latched"].publish(Header(frame_id="latched"))

    def talk(self) -> None:
        self.publishers["/image"].publish(self.image)
        self.publishers["/tick"].publish(Header(frame_id="tick"))
        time.sleep(0.02)

    def heard(self, *topics: str) -> bool:
        return all(self.publishers[topic].get_subscription_count() for topic in topics)


@pytest.fixture
def talker(ros: int) -> Iterator[Talker]:
    talker = Talker()
    yield talker
    talker.node.destroy_node()


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(domain: int) -> Iterator[Start]:
    """Starts the command; no process is left after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: object, before: str = "") -> subprocess.Popen[str]:
        """Start it with these arguments, in a shell that has run ``before``."""
        program = [sys.executable, "-m", "space_clip_ros.cli.main", "record", *map(str, words)]
        command = ["bash", "-c", f'{before}\nexec "$@"', "bash", *program]
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    return process.returncode, out, error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_published_is_in_the_bag(
    start: Start, talker: Talker, tmp_path: Path, until: Callable[..., None], number: signal.Signals
) -> None:
    process = start("--out", tmp_path / "bag")
    until(lambda: talker.heard(*PUBLISHERS), "the recorder")
    before = time.time_ns()
    for _ in range(20):
        talker.talk()
    time.sleep(0.5)
    status, out, error = end(process, number)
    assert status == 0, error
    assert "Traceback" not in error
    assert out.endswith(f"{tmp_path / 'bag'}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]
    with BagReader(tmp_path / "bag") as bag:
        assert set(bag.topics) == set(PUBLISHERS)
        images = list(bag.messages(["/image"]))
        # Not byte by byte: the padding between CDR fields is undefined.
        assert deserialize_message(images[-1][2], Image) == talker.image
        assert before <= images[-1][1] <= time.time_ns()
        assert len(list(bag.messages(["/tick"]))) >= 15
        assert len(list(bag.messages(["/latched"]))) == 1
        assert {name for name, topic in bag.topics.items() if is_latched(topic.offered)} == {"/latched"}
        reliable = {name for name, topic in bag.topics.items() if topic.offered[0].reliability.name == "RELIABLE"}
        assert reliable == {"/tick", "/latched"}


def test_what_is_recorded_is_on_the_disk_before_the_end(
    start: Start, talker: Talker, tmp_path: Path, until: Callable[..., None]
) -> None:
    """A power cut takes the last second, not everything since a chunk was full."""
    start("/tick", "--out", tmp_path / "bag")
    until(lambda: talker.heard("/tick"), "the recorder")
    file = tmp_path / ".bag.part" / "bag" / "bag.mcap"
    # The header has less than 60 bytes; a chunk, which follows it, has at least the type's definition.
    until(lambda: talker.talk() or file.stat().st_size > 500, "the first chunk")


def test_a_later_publisher_that_offers_less_is_recorded_too(
    start: Start, talker: Talker, tmp_path: Path, until: Callable[..., None]
) -> None:
    process = start("/tick", "--out", tmp_path / "bag")
    until(lambda: talker.heard("/tick"), "the recorder")
    file = tmp_path / ".bag.part" / "bag" / "bag.mcap"
    until(lambda: talker.talk() or file.stat().st_size > 500, "the first message")
    weaker = talker.node.create_publisher(
        Header, "/tick", QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    until(weaker.get_subscription_count, "the recorder to be matched")
    for _ in range(20):
        weaker.publish(Header(frame_id="weaker"))
        time.sleep(0.02)
    status, _, error = end(process)
    assert status == 0, error
    with BagReader(tmp_path / "bag") as bag:
        frames = {deserialize_message(data, Header).frame_id for _, _, data in bag.messages(["/tick"])}
    assert frames == {"tick", "weaker"}


def test_the_mcap_library_decodes_it(start: Start, talker: Talker, tmp_path: Path, until: Callable[..., None]) -> None:
    reader = pytest.importorskip("mcap.reader")
    decoder = pytest.importorskip("mcap_ros2.decoder")
    process = start("image", "--out", tmp_path / "bag")
    until(lambda: talker.heard("/image"), "the recorder")
    for _ in range(10):
        talker.talk()
    time.sleep(0.3)
    status, _, error = end(process)
    assert status == 0, error
    with (tmp_path / "bag" / "bag.mcap").open("rb") as file:
        messages = reader.make_reader(file, decoder_factories=[decoder.DecoderFactory()]).iter_decoded_messages()
        results = [(channel.topic, message) for _, channel, _, message in messages]
    assert {topic for topic, _ in results} == {"/image"}
    assert results[0][1].encoding == "rgb8"
    assert bytes(results[0][1].data) == bytes(range(48))


def test_a_topic_whose_type_is_given_is_heard_from_its_first_message(
    start: Start, talker: Talker, tmp_path: Path, until: Callable[..., None]
) -> None:
    process = start("/early=std_msgs/msg/Header", "--out", tmp_path / "bag")
    until(lambda: talker.node.count_subscribers("/early"), "the recorder")
    publisher = talker.node.create_publisher(Header, "/early", QoSProfile(depth=10))
    until(publisher.get_subscription_count, "the recorder to be matched")
    publisher.publish(Header(frame_id="first"))
    assert publisher.wait_for_all_acked()
    time.sleep(0.3)
    status, _, error = end(process)
    assert status == 0, error
    with BagReader(tmp_path / "bag") as bag:
        assert len(list(bag.messages(["/early"]))) == 1


def test_it_ends_at_the_size_it_was_given(
    start: Start, talker: Talker, tmp_path: Path, until: Callable[..., None]
) -> None:
    # 192 KiB, which DDS delivers without a profile for large images.
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    talker.image = image_from_array(noise, "rgb8", Header(frame_id="cam"))
    process = start("/image", "--out", tmp_path / "bag", "--max-mb", "4")
    until(lambda: talker.heard("/image"), "the recorder")

    def ended() -> bool:
        talker.talk()
        return process.poll() is not None

    until(ended, "the end of the recording")
    assert process.returncode == 0
    assert "has grown to 4 MB" in process.communicate()[1]
    with BagReader(tmp_path / "bag") as bag:
        assert bag.topics["/image"].count >= 2


def test_what_was_recorded_is_kept_if_it_cannot_be_finished(
    start: Start, talker: Talker, tmp_path: Path, until: Callable[..., None]
) -> None:
    """A limit on the size of files stands in for a full disk. Once, nothing was left."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    talker.image = image_from_array(noise, "rgb8", Header(frame_id="cam"))
    process = start("/image", "--out", tmp_path / "bag", before="ulimit -f 3000")
    until(lambda: talker.heard("/image"), "the recorder")

    def ended() -> bool:
        talker.talk()
        return process.poll() is not None

    until(ended, "the end of the recording")
    error = process.communicate()[1]
    assert process.returncode == 1
    assert "bag: cannot be written (File too large)" in error
    assert f"mcap recover {tmp_path}/bag/bag.mcap -o recovered.mcap" in error.splitlines()[-1]
    assert (tmp_path / "bag" / "bag.mcap").stat().st_size > 2_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_a_duration_ends_it_and_without_messages_there_is_no_bag(start: Start, tmp_path: Path) -> None:
    process = start("/nothing", "--out", tmp_path / "bag", "--duration", "0.5")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no messages on /nothing" in error
    assert "nothing was recorded, so there is no bag" in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("sensor_msgs/Image", "/image=sensor_msgs/Image: is not NAME=TYPE; write it as"),
        ("sensor_msgs/msg/Nope", "sensor_msgs has no message Nope"),
        ("no_such_msgs/msg/Image", "no_such_msgs/msg/Image: is not installed; install the ROS package no_such_msgs"),
    ],
)
def test_an_unknown_type_ends_it_at_once(start: Start, tmp_path: Path, kind: str, message: str) -> None:
    process = start(f"/image={kind}", "--out", tmp_path / "bag")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bag_is_not_touched(start: Start, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    process = start("--out", tmp_path / "bag")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "exists already" in error


def test_it_ends_before_the_disk_is_full_with_a_complete_bag(
    ros: int, talker: Talker, tmp_path: Path, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    with BagWriter(tmp_path / "bag") as bag:
        recorder = record.Recorder(lambda: ended.append(True), bag, RecordOptions("", ("tick",)))
        executor = rclpy.executors.SingleThreadedExecutor()
        executor.add_node(recorder)
        until(lambda: executor.spin_once(timeout_sec=0.05) or talker.talk() or recorder.total, "a message")
        monkeypatch.setattr(record, "_RESERVE_BYTES", 1 << 60)
        until(lambda: executor.spin_once(timeout_sec=0.05) or ended, "the end")
        assert isinstance(recorder.error, DataError)
        assert "the disk is nearly full" in str(recorder.error)
        recorder.destroy_node()
    with BagReader(tmp_path / "bag") as reader:
        assert set(reader.topics) == {"/tick"}
