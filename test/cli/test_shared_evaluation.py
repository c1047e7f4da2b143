"""``space_clip evaluate`` under ``torchrun``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from space_clip_ros.cli.main import main
from space_clip_ros.cli.shared_evaluation import shared_evaluation
from space_clip_ros.errors import InputError

pytest.importorskip("torch")


def test_two_processes_report_what_one_does(tmp_path: Path, small_drive: Path, tiny_model_file: Path) -> None:
    config = tmp_path / "data.yaml"
    source = {"path": str(small_drive), "truth": "annotated"}
    config.write_text(
        yaml.safe_dump({"data": {"validation": [source]}, "augmentation": {"crop": []}}), encoding="utf-8"
    )
    arguments = ["evaluate", "--model", str(tiny_model_file), "--data", str(config), "--protocol", "standard"]
    arguments += ["--by", "folder"]
    alone, two = tmp_path / "one.json", tmp_path / "two.json"
    assert main([*arguments, "--json", str(alone), "--csv", str(tmp_path / "one.csv")]) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "space_clip_ros.cli.main", *arguments, "--device", "cpu"]
    done = subprocess.run(
        [*command, "--json", str(two), "--csv", str(tmp_path / "two.csv")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("standard protocol, 5 frames") == 1
    assert json.loads(two.read_text(encoding="utf-8")) == json.loads(alone.read_text(encoding="utf-8"))
    assert (tmp_path / "two.csv").read_text(encoding="utf-8") == (tmp_path / "one.csv").read_text(encoding="utf-8")


def test_what_needs_all_frames_in_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(InputError, match="--temporal and --scale: need all frames in order"),
        shared_evaluation("cpu", True),
    ):
        pass
    monkeypatch.setenv("WORLD_SIZE", "1")
    with shared_evaluation("cpu", True) as share:
        assert (share.device, share.first) == ("cpu", True)
