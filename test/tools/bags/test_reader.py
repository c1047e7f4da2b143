from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.definitions import Definition, known_definition
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter


def write(path: Path, storage: str = "mcap") -> Path:
    with BagWriter(path, storage) as bag:
        bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
        bag.add("/image", "sensor_msgs/msg/CompressedImage", qos.SENSOR)
        for stamp in (5, 15, 25):
            bag.write("/tf", stamp, messages.transforms())
    return path


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_was_written_is_read(tmp_path: Path, storage: str) -> None:
    with BagReader(write(tmp_path / "bag", storage)) as bag:
        assert (bag.start_ns, bag.end_ns) == (5, 25)
        assert {name: (topic.kind, topic.count) for name, topic in bag.topics.items()} == {
            "/tf": ("tf2_msgs/msg/TFMessage", 3),
            "/image": ("sensor_msgs/msg/CompressedImage", 0),
        }
        assert bag.storage == storage
        assert bag.topics["/tf"].offered == (qos.TF,)
        assert bag.topics["/tf"].definition == known_definition("tf2_msgs/msg/TFMessage")
        assert [(name, stamp) for name, stamp, _ in bag.messages(["/tf"], 15, 25)] == [("/tf", 15)]
        assert list(bag.messages([])) == []
        assert all(type(data) is bytes for _, _, data in bag.messages(["/tf"]))


def test_a_single_file_is_a_bag_too(tmp_path: Path) -> None:
    with BagReader(write(tmp_path / "bag") / "bag.mcap") as bag:
        assert len(list(bag.messages(["/tf"]))) == 3


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_every_publisher_and_the_definition_of_a_topic_are_read(tmp_path: Path, storage: str) -> None:
    definition = Definition("int32 value\n", f"RIHS01_{64 * '1'}")
    with BagWriter(tmp_path / "bag", storage) as bag:
        bag.add("/x", "my_msgs/msg/Value", [qos.SENSOR, qos.STATIC_TF], definition)
        bag.write_serialized("/x", 5, b"\0\1\0\0\7\0\0\0")
    with BagReader(tmp_path / "bag") as read:
        assert read.topics["/x"].offered == (qos.SENSOR, qos.STATIC_TF)
        assert read.topics["/x"].definition == definition


def test_a_damaged_message_is_named(tmp_path: Path) -> None:
    with BagReader(write(tmp_path / "bag")) as bag:
        assert bag.decode("/tf", next(bag.messages(["/tf"]))[2]).transforms == []
        with pytest.raises(DataError, match="bag: a message of /tf is damaged"):
            bag.decode("/tf", b"\0\1\0\0\7")


def test_what_is_no_bag_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "empty.mcap").write_bytes(b"")
    for name, message in (
        ("missing", "no such bag"),
        ("folder", "no metadata.yaml"),
        ("notes.txt", "cannot be read as a bag"),
        ("empty.mcap", "cannot be read as a bag"),
    ):
        with pytest.raises(DataError, match=f"{name}: .*{message}"), BagReader(tmp_path / name):
            pass


def test_an_empty_bag_is_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
    with pytest.raises(DataError, match="holds no messages"), BagReader(tmp_path / "bag"):
        pass


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_damaged_bags_are_one_error(tmp_path: Path, storage: str) -> None:
    """A bag that is cut short, or has one byte changed, is either read or refused with a DataError."""
    whole = write(tmp_path / "bag", storage)
    file = next(path for path in whole.iterdir() if path.suffix != ".yaml")
    data = file.read_bytes()
    for position in range(0, len(data), max(1, len(data) // 60)):
        damaged = tmp_path / f"damaged{position}"
        shutil.copytree(whole, damaged)
        changed = data[:position] if position % 2 else data[:position] + b"\xff" + data[position + 1 :]
        (damaged / file.name).write_bytes(changed)
        try:
            with BagReader(damaged) as bag:
                list(bag.messages(["/tf"]))
        except DataError as error:
            assert "cannot be read as a bag" in str(error) or "holds no messages" in str(error)
