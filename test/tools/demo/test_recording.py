"""What the demo records, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.tools.demo.recording import Recording
from space_clip_ros.tools.processes import Children


def test_an_earlier_recording_is_replaced_but_nothing_else(tmp_path: Path, domain: int) -> None:
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="recording: is not a recording"):
        Recording(folder, "raw", clouds=False)
    (folder / "metadata.yaml").write_text("", encoding="utf-8")
    recording = Recording(folder, "raw", clouds=False)
    # Until the recorder starts, the run may still end in an error.
    assert (folder / "notes.txt").exists()
    logs = tmp_path / "logs"
    logs.mkdir()
    with Children(logs) as children:
        recording.start(children)
        assert not (folder / "notes.txt").exists()


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
