"""``space_clip data shards``."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from space_clip_ros.cli.main import main
from space_clip_ros.settings import load
from space_clip_ros.training_config import TrainingConfig


def test_the_settings_that_are_printed_read_the_shards(
    tmp_path: Path, small_drive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"path": str(small_drive), "truth": "annotated"}
    config = tmp_path / "data.yaml"
    data = {"train": [{**source, "weight": 2.0}], "validation": [{**source, "frames": [0, 2]}]}
    config.write_text(yaml.safe_dump({"data": data}), encoding="utf-8")
    out = tmp_path / "shards"
    assert main(["data", "shards", str(config), "--out", str(out), "--frames", "2"]) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{out}/train_0: 5 frames in 3 shards, ")
    assert second.startswith(f"{out}/validation_0: 2 frames in 1 shards, ")
    overrides = [word.strip("'") for word in last.removeprefix("read them with ").split("' '")]
    result = load(TrainingConfig, config, overrides).data
    assert result.train == ({"kind": "shards", "path": f"{out}/train_0", "weight": 2},)
    assert result.validation == ({"kind": "shards", "path": f"{out}/validation_0"},)
    assert main(["data", "shards", str(config), "--out", str(out), "--only", "train"]) == 1
    assert "train_0: holds shards already" in capsys.readouterr().err


def test_settings_may_follow_options(tmp_path: Path, small_drive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "data.yaml"
    config.write_text(f"data: {{train: [{{path: {small_drive}}}]}}", encoding="utf-8")
    command = ["data", "shards", str(config), "seed=1", "--out", str(tmp_path / "out")]
    source = f"data.train=[{{path: {small_drive}, step: 2}}]"
    assert main([*command, "data.validation=[]", "--frames", "3", source]) == 0
    assert "train_0: 3 frames in 1 shards" in capsys.readouterr().out
    with pytest.raises(SystemExit) as status:
        main([*command, "data.validation=[]", "more"])
    assert status.value.code == 2
    assert "unrecognized arguments: data.validation=[] more" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--colour=red"])
    assert "unrecognized arguments: --colour=red" in capsys.readouterr().err


def test_broken_frames_cannot_be_skipped(tmp_path: Path, small_drive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "data.yaml"
    config.write_text(f"data: {{skip_broken: true, train: [{{path: {small_drive}}}]}}", encoding="utf-8")
    assert main(["data", "shards", str(config), "--out", str(tmp_path / "out")]) == 1
    assert (
        "data.skip_broken: cannot be used for shards, which must hold every frame; set it to false"
        in capsys.readouterr().err
    )


def test_without_frames_there_is_nothing_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.yaml").write_text("seed: 1\n", encoding="utf-8")
    assert main(["data", "shards", str(tmp_path / "data.yaml"), "--out", str(tmp_path / "out"), "--debug"]) == 1
    assert "names no frames; add data.train or data.validation" in capsys.readouterr().err
    with pytest.raises(SystemExit) as status:
        main(["data"])
    assert status.value.code == 2
