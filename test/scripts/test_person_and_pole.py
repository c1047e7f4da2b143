"""The script that measures whether a person and a pole stand out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from space_clip_ros.data.frame_folder import FrameFolder
from space_clip_ros.training_config import SourceConfig

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "person_and_pole.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_a_street_is_measured_and_written(tmp_path: Path) -> None:
    files = ["--json", str(tmp_path / "r.json"), "--out", str(tmp_path)]
    done = run("--model", str(ROOT / "models" / "road_tiny.onnx"), "--streets", "1", *files)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["objects"]["person"]["object_m"] > 9.5 and report["objects"]["pole"]["object_m"] > 7.5
    assert f"f1 {report['boundaries']['f1']:.4f}" in done.stdout and report["sky"]["frames"] == 1
    assert len(report["streets"]) == 1
    frames = FrameFolder(SourceConfig(kind="frames", path=str(tmp_path / "frames")))
    frame = frames.frame(0)
    assert len(frames) == 1 and frame.image.shape == (375, 1242, 3) and frame.depth.max() == 255.0
    assert len(list((tmp_path / "pictures").iterdir())) == 1


def test_a_missing_model_is_one_line() -> None:
    done = run("--model", "no_such_model.onnx")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "no_such_model.onnx" in done.stderr
