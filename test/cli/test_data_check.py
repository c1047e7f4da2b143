from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from space_clip_ros.cli.main import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a run on three frames that a list names; the first of them is validated on, too."""
    lines = []
    for number in range(3):
        picture, depth = f"hall/{number}.png", f"hall/{number}_depth.png"
        (tmp_path / "hall").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / picture), np.zeros((4, 6, 3), np.uint8))
        cv2.imwrite(str(tmp_path / depth), np.ones((4, 6), np.uint16))
        lines.append(f"{picture} {depth} 100\n")
    sources = {}
    for name, kept in (("train", lines), ("validation", lines[:1])):
        (tmp_path / f"{name}.txt").write_text("".join(kept))
        sources[name] = [{"kind": "kitti_list", "path": str(tmp_path), "file_list": str(tmp_path / f"{name}.txt")}]
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"data": sources}))
    return tmp_path / "run.yaml"


def test_complete_data(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    folder = config.parent
    assert lines == [
        f"data.train[0]: all 3 frames of {folder / 'train.txt'} in {folder}",
        f"data.validation[0]: all 1 frames of {folder / 'validation.txt'} in {folder}",
        "complete: 4 frames",
    ]


def test_missing_data_is_named_and_exits_with_1(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = config.parent / "hall" / "2.png"
    picture.write_bytes(b"")
    report = config.parent / "missing.json"
    assert main(["data", "check", str(config), "--json", str(report)]) == 1
    out = capsys.readouterr().out
    assert f"{picture}: is empty" in out and "incomplete: 3 of 4 frames are there" in out
    written = json.loads(report.read_text())
    assert (written["complete"], written["wanted"], written["present"]) == (False, 4, 3)
    train, validation = written["sources"]
    assert validation["complete"] and not train["complete"]
    assert train["scenes"][0]["missing"] == [{"path": str(picture), "reason": "is empty"}]


def test_a_source_that_cannot_be_used_does_not_stop_the_check(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent
    picture = folder / "leftImg8bit" / "val" / "ulm" / "a_leftImg8bit.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"")
    wrong = f"{{kind: cityscapes, path: {folder}, labels: [rood]}}"
    good = f"{{kind: kitti_list, path: {folder}, file_list: {folder / 'train.txt'}}}"
    assert main(["data", "check", str(config), f"data.train=[{wrong}, {good}]", "data.validation=[]"]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"data.train[0]: {folder} cannot be used: ") and "rood" in first
    assert second == f"data.train[1]: all 3 frames of {folder / 'train.txt'} in {folder}"
    assert last == "incomplete: 1 of 2 sources cannot be used; of the others, 3 of 3 frames are there"


def test_a_source_without_a_list_says_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "hall" / "0.json").write_text('{"width": 6, "height": 4, "fx": 9, "fy": 9, "cx": 3, "cy": 2}')
    for number in (1, 2):
        (config.parent / "hall" / f"{number}.png").unlink()
        (config.parent / "hall" / f"{number}_depth.png").unlink()
    sources = f"[{{kind: frames, path: {config.parent / 'hall'}}}]"
    assert main(["data", "check", str(config), f"data.train={sources}", "data.validation=[]"]) == 0
    assert "all 1 frames found (no list to count against) in " in capsys.readouterr().out


@pytest.mark.parametrize(("name", "wanted", "scene"), [("kitti", 652, "drive_0002_sync"), ("nyu", 654, "bathroom")])
def test_the_shipped_settings_want_the_published_test_frames(
    name: str,
    wanted: int,
    scene: str,
    tmp_path: Path,
    project_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["data", "check", str(project_root / "config" / f"{name}.yaml"), "data.train=[]"]
    assert main(command) == 1
    out = capsys.readouterr().out
    assert out.count("\n") <= 5 and ": no such folder" in out and f"`space_clip download {name}` fetches them" in out
    (tmp_path / "data" / name / {"kitti": "raw", "nyu": "test"}[name]).mkdir(parents=True)
    assert main(command) == 1
    out = capsys.readouterr().out
    assert f"incomplete: 0 of {wanted} frames are there" in out and f"{scene}: 0 of " in out
    assert "; … and " in out and f"`space_clip download {name}` fetches them" in out


def test_settings_without_sources_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.yaml").write_text("seed: 1\n")
    assert main(["data", "check", str(tmp_path / "empty.yaml")]) == 1
    assert "names no source" in capsys.readouterr().err


def test_another_action_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["data", "delete", "config/kitti.yaml"])
    assert exit_status.value.code == 2
