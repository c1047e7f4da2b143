"""``space_clip bag``."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.drive import write_drive

rosbag2 = pytest.importorskip("rosbags.rosbag2")

Interrupt = Callable[[list[str], Callable[[], bool], signal.Signals], int]


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    camera = PinholeCamera(156, 48, fx=90.0, fy=90.0, cx=76.0, cy=21.0)
    return write_drive(tmp_path_factory.mktemp("drive"), frames=2, seed=4, camera=camera)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_writes_a_bag_and_says_what_is_in_it(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str
) -> None:
    out = tmp_path / "bag"
    assert main(["bag", str(drive), "--out", str(out), "--storage", storage, "--compressed", "jpeg"]) == 0
    printed = capsys.readouterr()
    assert "     2  /image/compressed\n" in printed.out
    assert printed.out.endswith(f"{out}\n")
    assert printed.err == ""
    with rosbag2.Reader(out) as reader:
        assert reader.message_count == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere"], "/nowhere: no such folder"),
        (["DRIVE", "--cameras", "color_right"], "image_03"),
        (["DRIVE", "--cameras", "color_left", "color_left"], "each once"),
    ],
)
def test_errors_are_one_line(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    words = [str(drive) if word == "DRIVE" else word for word in arguments]
    assert main(["bag", words[0], "--out", str(tmp_path / "bag"), *words[1:]]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(
    drive: Path, tmp_path: Path, interrupt: Interrupt, number: signal.Signals, status: int
) -> None:
    """Many frames, so that the signal comes while they are being written."""
    day = tmp_path / "long" / drive.parent.name
    images, scans = day / drive.name / "image_02", day / drive.name / "velodyne_points" / "data"
    (images / "data").mkdir(parents=True)
    scans.mkdir(parents=True)
    for file in drive.parent.glob("*.txt"):
        (day / file.name).write_bytes(file.read_bytes())
    stamps = [f"2026-01-01 12:{index // 600:02d}:{index / 10 % 60:012.9f}\n" for index in range(5000)]
    (images / "timestamps.txt").write_text("".join(stamps), encoding="utf-8")
    for index in range(5000):
        (images / "data" / f"{index:010d}.png").hardlink_to(drive / "image_02" / "data" / "0000000000.png")
    out = tmp_path / "out"
    arguments = ["bag", str(day / drive.name), "--out", str(out / "bag")]
    assert interrupt(arguments, lambda: bool(list(out.glob(".bag.part/bag/*.mcap"))), number) == status
    assert list(out.iterdir()) == []


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["bag", "--help"])
    assert exit_status.value.code == 0
    assert "example:" in capsys.readouterr().out
