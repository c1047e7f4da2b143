"""Files that are not a whole storage file are refused; the error says what they are and what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.storage_file import check_storage_file, storage_suffix
from space_clip_ros.tools.bags.writer import BagWriter


@pytest.fixture(params=["mcap", "sqlite3"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The storage file of a whole bag."""
    with BagWriter(tmp_path / "bag", request.param) as bag:
        bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
        for stamp in range(300):
            bag.write("/tf", stamp, messages.transforms())
    return next(path for path in (tmp_path / "bag").iterdir() if path.suffix != ".yaml")


def write_without_an_end(database: Path, pragma: str) -> None:
    """Write as a recorder that is killed does: in a process that ends without closing the database."""
    program = (
        "import os, sqlite3, sys\n"
        "base = sqlite3.connect(sys.argv[1])\n"
        "base.executescript(sys.argv[2])\n"
        "base.execute('INSERT INTO messages (topic_id, timestamp, data) SELECT topic_id, 900, data FROM messages')\n"
        "if 'WAL' in sys.argv[2]: base.commit()\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(database), pragma], check=True, timeout=60)


def test_whole_files_pass(file: Path) -> None:
    check_storage_file(file)


def test_a_file_cut_in_the_middle(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)
    remedy = "`mcap recover .*bag.mcap -o recovered.mcap`" if file.suffix == ".mcap" else "`sqlite3 .* .recover"
    for path in (file, file.parent):
        with pytest.raises(DataError, match=f"{file.name}: ends early.*; .*{remedy}"), BagReader(path):
            pass


def test_a_file_of_another_kind(file: Path, tmp_path: Path) -> None:
    other = {".mcap": ".db3", ".db3": ".mcap"}[file.suffix]
    shutil.copy(file, tmp_path / f"wrong{other}")
    with pytest.raises(DataError, match=rf"is an \w+ file; rename it to wrong\{file.suffix}"):
        check_storage_file(tmp_path / f"wrong{other}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "old.bag",
            b"#ROSBAG V2.0\n",
            r"is a ROS 1 bag; convert it: `rosbags-convert --src \S+/old.bag --dst old_ros2`",
        ),
        ("old.mcap", b"#ROSBAG V2.0\n", "is a ROS 1 bag"),
        ("old.bag", b"", "is a ROS 1 bag"),
        ("a.mcap", b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer.*; run `git lfs pull`"),
        ("a.db3", b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer.*; run `git lfs pull`"),
        ("a.db3", b"", "is empty: the recorder was killed"),
        ("a.db3", b"<html>", "is not the .db3 file its name says"),
        ("a.txt", b"notes", "is not a bag; give a rosbag2 folder"),
        ("a.mcap", b"\x28\xb5\x2f\xfd", "is compressed with zstd; rename it to a.mcap.zstd"),
        ("my old.bag", b"", r"`rosbags-convert --src '/\S.*/my old.bag' --dst 'my old_ros2'`"),
        ("a.mcap.gz", b"\x1f\x8b", "is not a bag; unpack it"),
        ("a.mcap.zstd", b"notes", "is not the .zstd file its name says"),
        ("a.mcap", b"\x89MCAP0\r\n", "ends early: the recorder was killed"),
        ("a.mcap", b"\x89MCAP0\r\n" + bytes(20) + b"\x89MCAP0\r\n", "has the profile '' instead of 'ros2'"),
    ],
)
def test_other_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        check_storage_file(tmp_path / name)


def test_mcap_of_ros_1(file: Path) -> None:
    if file.suffix == ".mcap":
        file.write_bytes(file.read_bytes().replace(b"ros2", b"ros1", 1))
        with pytest.raises(DataError, match="holds messages of ROS 1"):
            check_storage_file(file)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with BagWriter(tmp_path / "bag", "sqlite3") as bag:
        bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
        for stamp in range(300):
            bag.write("/tf", stamp, messages.transforms())
    return tmp_path / "bag" / "bag.db3"


def test_messages_in_the_write_ahead_log_are_not_lost(database: Path) -> None:
    write_without_an_end(database, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;")
    with pytest.raises(DataError, match=r'bag.db3-wal: the recorder was killed.*; `sqlite3 .*"PRAGMA wal_checkpoint'):
        check_storage_file(database)
    sqlite3.connect(database).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    with BagReader(database) as bag:
        assert len(list(bag.messages(["/tf"]))) == bag.topics["/tf"].count == 600


def test_a_write_that_was_not_finished_is_not_read(database: Path) -> None:
    write_without_an_end(database, "PRAGMA journal_mode=DELETE; PRAGMA cache_size=1;")
    assert database.with_name("bag.db3-journal").stat().st_size
    with pytest.raises(DataError, match=r"in the middle of a write \(bag.db3-journal\)"):
        check_storage_file(database)
    sqlite3.connect(database).execute("PRAGMA integrity_check").connection.close()
    with BagReader(database) as bag:
        assert len(list(bag.messages(["/tf"]))) == bag.topics["/tf"].count == 300


def test_what_lies_beside_a_closed_database_is_harmless(database: Path) -> None:
    for ending in ("-shm", "-wal", "-journal"):
        database.with_name(f"bag.db3{ending}").touch()
    database.with_name("bag.db3-journal").write_bytes(bytes(512))
    check_storage_file(database)


def test_the_storage_is_told_by_the_suffix() -> None:
    names = ("a.mcap", "a_0.db3", "a.mcap.zstd", "a.db3.zst", "a.bag", "metadata.yaml", "a.txt.zstd", "b.db3-wal")
    assert [storage_suffix(Path(name)) for name in names] == [".mcap", ".db3", ".mcap", ".db3", "", "", "", ""]
