"""``space_clip report``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.cli.main import main

pytest.importorskip("rosbags.rosbag2")


@pytest.fixture()
def bag(tmp_path: Path) -> Path:
    """Three frames of depth and images."""
    from space_clip_ros.tools.bags import messages, qos
    from space_clip_ros.tools.bags.writer import BagWriter

    with BagWriter(tmp_path / "bag") as writer:
        for name in ("/image", "/depth/image"):
            writer.add(name, "sensor_msgs/msg/Image", qos.SENSOR)
        for stamp in range(1, 4):
            head = messages.header(stamp * 10**8, "camera")
            writer.write("/image", stamp * 10**8, messages.image(np.zeros((24, 32, 3), np.uint8), head))
            writer.write("/depth/image", stamp * 10**8, messages.image(np.ones((24, 32), np.float32), head))
    return tmp_path / "bag"


def test_writes_page_and_film_and_says_what_is_missing(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, film = tmp_path / "report.html", tmp_path / "film.mp4"
    assert main(["report", str(bag), "--out", str(out), "--video", str(film)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.partition(":")[0] for line in lines[:-2]] == ["note"] * 4
    assert lines[-2] == f"{film}: 3 frames"
    assert lines[-1] == f"{out}: 3 frames, 0.1 MB" or lines[-1] == f"{out}: 3 frames, 0.0 MB"
    assert printed.err == ""
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert film.stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere"], "/nowhere: no such run or bag"),
        (["BAG", "--depth", "/nothing"], "has no topic /nothing"),
        (["BAG", "--video", "film.avi"], "must end in .mp4, got film.avi"),
        (["BAG", "--max-depth", "0"], "depth range must run"),
    ],
)
def test_errors_are_one_line(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    words = [str(bag) if word == "BAG" else word for word in arguments]
    assert main(["report", *words, "--out", str(tmp_path / "report.html")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("name", ["bag.mcap", "metadata.yaml"])
def test_the_page_does_not_replace_the_recording(bag: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = (bag / name).read_bytes()
    for source in {bag, bag / "bag.mcap"} if name == "bag.mcap" else {bag}:
        with pytest.raises(SystemExit) as ended:
            main(["report", str(source), "--out", str(bag / name)])
        assert ended.value.code == 2
        assert "is the file to read; give another name" in capsys.readouterr().err
    assert (bag / name).read_bytes() == before


def test_the_page_of_a_run_does_not_replace_its_summary(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    bag.rename(tmp_path / "run" / "recording")
    summary = tmp_path / "run" / "summary.json"
    summary.write_text("{}", encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path / "run"), "--out", str(summary)])
    assert f"--out {summary}: is the file to read" in capsys.readouterr().err
    assert summary.read_text(encoding="utf-8") == "{}"
