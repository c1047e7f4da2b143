from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.definitions import Definition, known_definition
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.storage_file import zstd
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
        ("notes.txt", "is not a bag; give a rosbag2 folder"),
        ("empty.mcap", "is empty: the recorder was killed"),
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
        with contextlib.suppress(DataError), BagReader(damaged) as bag:
            list(bag.messages(["/tf"]))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Edit a bag's metadata.yaml as people do."""
    file = path / "metadata.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(content["rosbag2_bagfile_information"])
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def offer(value: Any) -> Callable[[dict[str, Any]], object]:
    def change(information: dict[str, Any]) -> None:
        for topic in information["topics_with_message_count"]:
            topic["topic_metadata"]["offered_qos_profiles"] = value

    return change


def storage_file(path: Path) -> Path:
    return next(file for file in path.iterdir() if file.name != "metadata.yaml")


def stamps(path: Path) -> list[int]:
    """Stamps of the bag's messages; their number is the one that its topic says."""
    with BagReader(path) as bag:
        all_stamps = [stamp for _, stamp, _ in bag.messages(["/tf"])]
        assert bag.topics["/tf"].count == len(all_stamps)
    return all_stamps


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_qos_edited_in_the_metadata_governs_and_loses_no_message(tmp_path: Path, storage: str) -> None:
    best_effort = qos.profile(5, reliable=False)
    as_names = [{"history": "keep_last", "depth": 5, "reliability": "best_effort", "durability": "volatile"}]
    as_numbers = "- history: 1\n  depth: 5\n  reliability: 2\n  durability: 2\n"
    for number, (value, expected) in enumerate(
        [(as_names, (best_effort,)), (as_numbers, (best_effort,)), ("", ()), ([], ()), (as_names[0], (best_effort,))]
    ):
        bag = edit(write(tmp_path / str(number), storage), offer(value))
        assert stamps(bag) == [5, 15, 25]
        with BagReader(bag) as read:
            assert read.topics["/tf"].offered == expected


def test_a_misspelt_policy_is_refused(tmp_path: Path) -> None:
    bag = edit(write(tmp_path / "bag"), offer([{"reliability": "relaible"}]))
    with pytest.raises(DataError, match=r"offered_qos_profiles of /\w+: reliability must be one of .*, got 'relaible'"):
        stamps(bag)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(
    "change",
    [
        lambda information: information.update(storage_identifier=""),
        lambda information: information.pop("storage_identifier"),
        lambda information: information.update(message_count=0, topics_with_message_count=[]),
        lambda information: information.update(version=10),
        lambda information: information.update(compression_mode="FILE", compression_format="zstd"),
        lambda information: information.update(
            version=3, relative_file_paths=[f"bag/{name}" for name in information["relative_file_paths"]]
        ),
    ],
    ids=["empty storage id", "no storage id", "reindexed to nothing", "newer version", "never compressed", "version 3"],
)
def test_only_the_files_and_the_qos_are_taken_from_the_metadata(
    tmp_path: Path, storage: str, change: Callable[[dict[str, Any]], object]
) -> None:
    bag = edit(write(tmp_path / "bag", storage), change)
    assert stamps(bag) == [5, 15, 25]
    with BagReader(bag) as read:
        assert read.storage == storage
        assert read.topics["/tf"].offered == (qos.TF,)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_without_metadata_the_files_are_read_and_that_is_said(tmp_path: Path, storage: str) -> None:
    bag = write(tmp_path / "bag", storage)
    for content in (None, ""):
        (bag / "metadata.yaml").unlink()
        if content is not None:
            (bag / "metadata.yaml").write_text(content, encoding="utf-8")
        assert stamps(bag) == [5, 15, 25]
        with BagReader(bag) as read:
            assert read.notes == (
                f"has no metadata.yaml, so the recorder may have been killed; read {storage_file(bag).name}",
            )
        (bag / "metadata.yaml").touch()


def test_messages_that_the_files_lack_are_noted(tmp_path: Path) -> None:
    def claim(information: dict[str, Any]) -> None:
        information["topics_with_message_count"][0]["message_count"] = 9

    with BagReader(edit(write(tmp_path / "bag"), claim)) as read:
        assert read.notes == ("metadata.yaml counts 9 messages of /tf, its files hold 3",)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_files_compressed_as_a_whole(tmp_path: Path, storage: str) -> None:
    bag = write(tmp_path / "bag", storage)
    file = storage_file(bag)
    packed = file.with_name(f"{file.name}.zstd")
    packed.write_bytes(zstd.compress(file.read_bytes()))
    file.unlink()
    compressed = {"compression_mode": "FILE", "compression_format": "zstd"}
    edit(bag, lambda information: information.update(compressed, relative_file_paths=[packed.name]))
    assert stamps(bag) == stamps(packed) == [5, 15, 25]
    # A recorder that is killed leaves the name from before the compression in the list.
    edit(bag, lambda information: information.update(relative_file_paths=[file.name]))
    assert stamps(bag) == [5, 15, 25]
    packed.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"\.zstd: is damaged or cut short"):
        stamps(bag)


def test_messages_compressed_one_by_one_with_and_without_metadata(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag", "sqlite3")
    with contextlib.closing(sqlite3.connect(bag / "bag.db3")) as base, base:
        for number, data in base.execute("SELECT id, data FROM messages").fetchall():
            base.execute("UPDATE messages SET data = ? WHERE id = ?", (zstd.compress(data), number))
    edit(bag, lambda information: information.update(compression_mode="MESSAGE", compression_format="zstd"))
    for path in (bag, bag / "bag.db3"):
        with BagReader(path) as read:
            assert [read.decode("/tf", data).transforms for _, _, data in read.messages(["/tf"])] == [[], [], []]


def test_another_compression_is_refused(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag")
    edit(bag, lambda information: information.update(compression_mode="MESSAGE", compression_format="lz4"))
    with pytest.raises(DataError, match="compressed with lz4; only zstd can be read; use `ros2 bag convert`"):
        stamps(bag)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_names_with_characters_of_uris(tmp_path: Path, storage: str) -> None:
    whole = write(tmp_path / "whole", storage)
    for name in ("run #1", "a?b", "100%25", "mit ä"):
        shutil.copytree(whole, tmp_path / name)
        assert stamps(tmp_path / name) == [5, 15, 25]


def split(tmp_path: Path, *first_stamps: int) -> Path:
    """A bag of several files, which begin at these stamps."""
    for number, first in enumerate(first_stamps):
        with BagWriter(tmp_path / f"part_{number}") as part:
            part.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
            for stamp in (first, first + 10):
                part.write("/tf", stamp, messages.transforms())
    bag = tmp_path / "part_0"
    for number in range(1, len(first_stamps)):
        shutil.move(tmp_path / f"part_{number}" / f"part_{number}.mcap", bag)
    names = [f"part_{number}.mcap" for number in range(len(first_stamps))]
    return edit(bag, lambda information: information.update(relative_file_paths=names))


def test_split_bags_are_read_in_the_order_of_their_stamps(tmp_path: Path) -> None:
    bag = split(tmp_path, 100, 300, 305, 200)
    assert stamps(bag) == [100, 110, 200, 210, 300, 305, 310, 315]
    with BagReader(bag) as read:
        assert (read.start_ns, read.end_ns, read.topics["/tf"].offered) == (100, 315, (qos.TF,))
    (bag / "metadata.yaml").unlink()
    assert stamps(bag) == [100, 110, 200, 210, 300, 305, 310, 315]


def test_a_missing_file_of_a_split_bag_is_named(tmp_path: Path) -> None:
    bag = split(tmp_path, 100, 200, 300)
    (bag / "part_1.mcap").unlink()
    with pytest.raises(
        DataError, match=r"part_1\.mcap: is missing, though metadata.yaml lists it .* part_0\.mcap, part_2"
    ):
        stamps(bag)
    (bag / "metadata.yaml").unlink()
    with pytest.raises(DataError, match=r"lacks files of its recording \(part_0\.mcap, part_2\.mcap\)"):
        stamps(bag)


def test_a_file_that_the_metadata_does_not_list_is_noted(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag")
    shutil.copy(bag / "bag.mcap", bag / "bag_recovered.mcap")
    with BagReader(bag) as read:
        assert read.topics["/tf"].count == 3
        assert read.notes == ("bag_recovered.mcap is not listed in metadata.yaml and is left out",)


def mcap_file(path: Path, schema: str, encoding: str, metadata: dict[str, str] | None = None) -> Path:
    with path.open("wb") as stream:
        writer = pytest.importorskip("mcap.writer").Writer(stream)
        writer.start(profile="ros2")
        kind = writer.register_schema("std_msgs/msg/String", schema, b"string data\n")
        topic = writer.register_channel("/text", encoding, kind, metadata or {})
        writer.add_message(topic, 5, b"\0\1\0\0\2\0\0\0a\0", 5)
        writer.finish()
    return path


@pytest.mark.parametrize(
    ("schema", "encoding", "metadata", "message"),
    [
        ("protobuf", "protobuf", {}, "definitions are protobuf, which is not ROS 2's CDR; .*`mcap filter`"),
        ("ros2msg", "json", {}, "messages of /text are json, which is not ROS 2's CDR"),
        ("ros2msg", "cdr", {"offered_qos_profiles": "- depth: 3"}, "QoS profiles inside it lack 'history'|'deadline'"),
    ],
)
def test_what_other_programs_write_is_refused_with_the_reason(
    tmp_path: Path, schema: str, encoding: str, metadata: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message), BagReader(mcap_file(tmp_path / "a.mcap", schema, encoding, metadata)):
        pass
