"""What the demo records, and where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.tools.bags import messages, qos
from space_clip_ros.tools.bags.writer import BagWriter
from space_clip_ros.tools.demo.recording import Recording
from space_clip_ros.tools.processes import Children


def test_an_earlier_recording_is_replaced_but_nothing_else(tmp_path: Path, domain: int) -> None:
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="recording: is not a recording of this demo's"):
        Recording(folder, "raw", clouds=False)
    shutil.rmtree(folder)
    logs = tmp_path / "logs"
    logs.mkdir()
    with Children(logs) as children:
        command = Recording(folder, "raw", clouds=False).start(children).command
    note = next(word for word in command if word.startswith("--note=")).partition("=")[2]
    record(folder, note)
    recording = Recording(folder, "raw", clouds=False)
    # Until the recorder starts, the run may still end in an error.
    assert (folder / "recording.mcap").exists()
    with Children(logs) as children:
        recording.start(children)
        assert not (folder / "recording.mcap").exists()


def test_somebodys_own_recording_is_not_replaced(tmp_path: Path) -> None:
    for note in ("", "the drive to the harbour"):
        folder = tmp_path / f"{len(note)}" / "recording"
        record(folder, note)
        with pytest.raises(DataError, match="is not a recording of this demo's; move it away, or give another --out"):
            Recording(folder, "raw", clouds=False)
        assert (folder / "recording.mcap").exists()


def record(folder: Path, note: str) -> None:
    with BagWriter(folder, note=note) as bag:
        bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
        bag.write("/tf", 5, messages.transforms())


@pytest.mark.parametrize(("transport", "clouds"), [("raw", False), ("compressed", True)])
def test_it_records_at_once_and_with_lower_priority(tmp_path: Path, domain: int, transport: str, clouds: bool) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with Children(logs) as children:
        child = Recording(tmp_path / "recording", transport, clouds).start(children, uncertainty=clouds)
        command = child.command
    image = (
        "/image=sensor_msgs/msg/Image" if transport == "raw" else "/image/compressed=sensor_msgs/msg/CompressedImage"
    )
    assert image in command
    assert ("/depth/points=sensor_msgs/msg/PointCloud2" in command) == clouds
    assert ("/depth/uncertainty=sensor_msgs/msg/Image" in command) == clouds
    assert command[:2] == ["nice", "-n"]
