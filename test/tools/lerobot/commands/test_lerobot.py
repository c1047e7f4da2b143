"""``space_clip lerobot``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.drive import write_drive


def test_a_drive_becomes_a_bag_gets_depth_and_becomes_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = PinholeCamera(156, 48, fx=90.0, fy=90.0, cx=76.0, cy=21.0)
    drive = write_drive(tmp_path, frames=3, seed=4, camera=camera)
    assert main(["bag", str(drive), "--out", str(tmp_path / "bag")]) == 0
    assert main(["predict", "--bag", str(tmp_path / "bag"), "--out", str(tmp_path / "depth")]) == 0
    capsys.readouterr()
    out = tmp_path / "set"
    options = ["--out", str(out), "--task", "Drive.", "--depth-unit", "m", "--points", "4"]
    assert main(["lerobot", str(tmp_path / "depth"), *options]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"3 frames in 1 episode at 10 a second, of camera\n{out}\n"
    assert printed.err == ""
    info = json.loads((out / "meta/info.json").read_text(encoding="utf-8"))
    intrinsics = info["features"]["observation.images.camera_depth"]["info"]["intrinsics"]
    assert intrinsics == {"width": 156, "height": 48, "fx": 90.0, "fy": 90.0, "cx": 76.0, "cy": 21.0}


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lerobot", "/nowhere", "--out", str(tmp_path / "set")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("space_clip lerobot: /nowhere: no such bag")
    assert error.count("\n") == 1
    assert main(["lerobot", "/nowhere", "--out", str(tmp_path / "set"), "--fps", "-1"]) == 1
    assert "space_clip lerobot: fps: must be at least 0, got -1" in capsys.readouterr().err
