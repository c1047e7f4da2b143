"""Bags appear whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.definitions import Definition
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.bags.writer import BagWriter

TOPIC = "/tf"
KIND = "tf2_msgs/msg/TFMessage"

WRITE_FOREVER = """
import sys
from space_clip_ros.tools.bags import messages
from space_clip_ros.tools.bags import qos
from space_clip_ros.tools.bags.writer import BagWriter
with BagWriter(sys.argv[1], sys.argv[2]) as bag:
    bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
    stamp = 0
    while True:
        stamp += 1
        bag.write("/tf", stamp, messages.transforms())
        if stamp == 1000:
            print("busy", flush=True)
"""


def write(path: Path, storage: str = "mcap") -> None:
    with BagWriter(path, storage) as bag:
        bag.add(TOPIC, KIND, qos.TF)
        bag.write(TOPIC, 5, messages.transforms())


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_is_named_after_its_folder_and_nothing_else_is_left(tmp_path: Path, storage: str) -> None:
    write(tmp_path / "new" / "bag", storage)
    suffix = {"mcap": "mcap", "sqlite3": "db3"}[storage]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bag"]
    assert {path.name for path in (tmp_path / "new" / "bag").iterdir()} == {f"bag.{suffix}", "metadata.yaml"}
    with Reader(tmp_path / "new" / "bag") as reader:
        assert [stamp for _, stamp, _ in reader.messages()] == [5]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error(tmp_path: Path, storage: str, failure: type[BaseException]) -> None:
    with pytest.raises(failure), BagWriter(tmp_path / "bag", storage) as bag:
        bag.add(TOPIC, KIND, qos.TF)
        bag.write(TOPIC, 5, messages.transforms())
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_flushing_makes_chunks_and_changes_no_message(tmp_path: Path) -> None:
    file = tmp_path / ".bag.part" / "bag" / "bag.mcap"
    sizes = []
    with BagWriter(tmp_path / "bag") as bag:
        bag.flush()
        bag.add(TOPIC, KIND, qos.TF)
        bag.flush()
        for stamp in range(1, 4):
            bag.write(TOPIC, stamp, messages.transforms())
            bag.flush()
            bag.flush()
            sizes.append(file.stat().st_size)
    assert 0 < sizes[0] < sizes[1] < sizes[2]
    with BagReader(tmp_path / "bag") as reader:
        assert [stamp for _, stamp, _ in reader.messages([TOPIC])] == [1, 2, 3]


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(DataError, match="exists already"):
        write(tmp_path / "bag")
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match=r"file/bag: cannot be written \(Not a directory\)"):
        write(tmp_path / "file" / "bag")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path, storage: str) -> None:
    result = write_to_a_full_disk(tmp_path / "bag", storage)
    assert "bag: cannot be written" in result.stdout, result.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_made_again_is_kept(tmp_path: Path) -> None:
    reader = pytest.importorskip("mcap.stream_reader")
    result = write_to_a_full_disk(tmp_path / "bag", "mcap", keep=True)
    file = tmp_path / "bag" / "bag.mcap"
    line = f"{file}: ends early, but holds what could be written; `mcap recover {file} -o recovered.mcap` saves what"
    assert line in result.stdout, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]
    with pytest.raises(DataError, match="ends early"):
        BagReader(tmp_path / "bag").__enter__()
    messages = 0
    with file.open("rb") as stream, pytest.raises(pytest.importorskip("mcap.exceptions").EndOfFile):
        for record in reader.StreamReader(stream).records:
            messages += type(record).__name__ == "Message"
    assert messages == 2, "of 1.5 MB each, a chunk for each; the third does not fit"


def write_to_a_full_disk(bag: Path, storage: str, keep: bool = False) -> subprocess.CompletedProcess[str]:
    """Write images until a file would have more than 4 MB; like a full disk, this ends a write with an OSError."""
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))\n"
        "from space_clip_ros.errors import DataError\n"
        "from space_clip_ros.tools.bags import messages, qos\n"
        "from space_clip_ros.tools.bags.writer import BagWriter\n"
        "import numpy as np\n"
        "noise = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), np.uint8)\n"
        "try:\n"
        "    with BagWriter(sys.argv[1], sys.argv[2], keep=len(sys.argv) > 3) as bag:\n"
        "        bag.add('/image', 'sensor_msgs/msg/Image', qos.SENSOR)\n"
        "        try:\n"
        "            for stamp in range(4):\n"
        "                bag.write('/image', stamp, messages.image(noise, messages.header(0, 'c')))\n"
        "        except DataError: pass\n"
        "except DataError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(bag), storage, *(["keep"] if keep else [])]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_only_one_process_writes_a_bag(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag"), pytest.raises(DataError, match="being written by another process"):
        write(tmp_path / "bag")
    assert (tmp_path / "bag").is_dir()


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_a_killed_run_left_is_replaced(tmp_path: Path, storage: str) -> None:
    command = [sys.executable, "-c", WRITE_FOREVER, str(tmp_path / "bag"), storage]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        process.send_signal(signal.SIGKILL)
    assert [path.name for path in tmp_path.iterdir()] == [".bag.part"]
    write(tmp_path / "bag", storage)
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_memory_stays_flat(tmp_path: Path) -> None:
    """200 MB go through a process that may hold far less."""
    program = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from space_clip_ros.tools.bags import messages, qos\n"
        "from space_clip_ros.tools.bags.writer import BagWriter\n"
        "image = messages.image(np.zeros((512, 1024, 3), np.uint8), messages.header(0, 'c'))\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "with BagWriter(sys.argv[1], sys.argv[2]) as bag:\n"
        "    bag.add('/image', 'sensor_msgs/msg/Image', qos.SENSOR)\n"
        "    for stamp in range(130):\n"
        "        bag.write('/image', stamp, image)\n"
        "        before = before if stamp > 10 else peak()\n"
        "print(peak() - before)\n"
    )
    for storage in ("mcap", "sqlite3"):
        command = [sys.executable, "-c", program, str(tmp_path / storage), storage]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert int(result.stdout) < 20, f"{storage} grew by {result.stdout} MB"


def test_unknown_types_and_storages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="storage: must be mcap or sqlite3, got 'zip'"):
        BagWriter(tmp_path / "bag", "zip")
    with pytest.raises(InputError, match="/: cannot be a bag, which needs a folder of its own"):
        BagWriter("/")
    with BagWriter(tmp_path / "bag") as bag:
        with pytest.raises(InputError, match="/x: the definition of my/msg/Type is not known"):
            bag.add("/x", "my/msg/Type", qos.TF)
        bag.add("/x", "my/msg/Type", qos.TF, Definition("int32 value\n", "RIHS01_" + 64 * "0"))


def test_the_folder_is_locked_no_longer_than_needed(tmp_path: Path) -> None:
    write(tmp_path / "first")
    before = len(list(Path("/proc/self/fd").iterdir()))
    write(tmp_path / "second")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("name", ["run #1", "a?b", "100%25"])
def test_sqlite_is_not_written_elsewhere(tmp_path: Path, name: str) -> None:
    """The library makes a URI of the path, and once wrote the database beside the bag."""
    with pytest.raises(InputError, match=r"contains [?], # or %, which makes SQLite write elsewhere; choose another"):
        BagWriter(tmp_path / name, "sqlite3")
    with BagWriter(tmp_path / name) as bag:
        bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
    assert {path.name for path in (tmp_path / name).iterdir()} == {f"{name}.mcap", "metadata.yaml"}
