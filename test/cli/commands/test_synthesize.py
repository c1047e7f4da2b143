from __future__ import annotations

import re
from pathlib import Path

import pytest

from space_clip_ros.cli.commands import synthesize
from space_clip_ros.cli.main import main
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.synthetic.drive import LABEL_FOLDER


def test_writes_the_drives_whose_folders_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["synthesize", "--out", str(tmp_path), "--frames", "1", "--seed", "8", "--drives", "2", "--no-scans"]
    assert main(arguments) == 0
    *paths, speed = capsys.readouterr().out.splitlines()
    assert [len(KittiDrive(path)) for path in paths] == [1, 1]
    assert re.fullmatch(r"[\d.]+ frames/s, \d+ ms of CPU time a frame", speed)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--drives", "0"], "--drives"),
        (["--frames", "0"], "at least 1"),
        (["--layout", "moon"], "layout must be one of"),
        (["--vary", "camera", "moon"], "vary must name some of camera, shape, streets"),
    ],
)
def test_a_wrong_value_is_reported_in_one_line(
    tmp_path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert main(["synthesize", "--out", str(tmp_path), "--frames", "1", *extra]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_all_options_reach_the_drive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["synthesize", "--out", str(tmp_path), "--frames", "1", "--seed", "8", "--no-scans", "--labels"]
    assert main([*arguments, "--vary", "camera", "streets", "--scale", "0.25", "--layout", "woods"]) == 0
    drive = KittiDrive(capsys.readouterr().out.splitlines()[0])
    assert drive.name == "2027_01_09_drive_0008_sync"
    assert (drive.camera.width, drive.camera.height) == (310, 94)
    assert (drive.path / LABEL_FOLDER / "0000000000.png").is_file()


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["synthesize", "--help"])
    assert exit_status.value.code == 0
    assert "example:" in capsys.readouterr().out
    assert synthesize.__doc__
