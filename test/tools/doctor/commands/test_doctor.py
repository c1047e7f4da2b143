"""``space_clip doctor`` on this machine, and on one without most of its libraries."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SECTIONS = {"package", "system", "processor", "memory", "gpu", "libraries", "ros", "dds", "backend"}


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "space_clip_ros.cli.main", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)


def test_this_machine(tmp_path: Path, tiny_model_file: Path) -> None:
    file = tmp_path / "doctor.json"
    result = doctor("--model", str(tiny_model_file), "--json", str(file))
    assert (result.returncode, result.stderr) == (0, "")
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["facts"].keys() == SECTIONS
    assert report["facts"]["backend"]["taken"]["backend"] == "onnxruntime"
    assert set(SECTIONS) <= set(result.stdout.split("\n"))
    for secret in (str(Path.home()), f"/{getpass.getuser()}/", str(tiny_model_file.parent)):
        assert secret not in result.stdout + file.read_text(encoding="utf-8") or secret == "/"


def test_a_machine_where_nothing_loads(broken: Callable[[str, str], None]) -> None:
    for name in ("torch", "onnxruntime", "rclpy", "tensorrt"):
        broken(name, f"raise ModuleNotFoundError('No module named {name}', name='{name}')")
    broken("numpy", "raise ImportError('numpy.core.multiarray failed to import')")
    broken("cv2", "import os; os.abort()")
    result = doctor()
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.split("\n")
    assert set(SECTIONS) <= set(lines)
    assert any(line.split()[:1] == ["rclpy"] and "not installed" in line for line in lines)
    assert "its process was ended by SIGABRT" in result.stdout
    assert "is built for another NumPy" in result.stdout.partition("what to look at")[2]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = doctor("--model", "none", "--json", str(tmp_path / "file" / "doctor.json"))
    assert result.returncode == 1
    assert result.stderr.startswith("space_clip doctor: ") and len(result.stderr.splitlines()) == 1
