"""What tests of several commands share: settings of a small run, and a command that a signal ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from space_clip_ros import settings


@pytest.fixture()
def run_yaml(tmp_path: Path, kitti_drive_dir: Path) -> Path:
    """A run of two steps on the sample drive."""
    drive = str(kitti_drive_dir)
    flat = {
        "model.encoder.width": 16,
        "model.encoder.heads": 2,
        "model.encoder.image_size": 32,
        "model.encoder.trainable": True,
        "model.decoder.channels": [8, 8, 8, 8],
        "model.decoder.film_hidden": 8,
        "model.input_size": [32, 96],
        "initial_depth": 10.0,
        "data.train": [{"path": drive, "frames": [0, 4]}],
        "data.validation": [{"path": drive, "frames": [40, 41]}],
        "data.workers": 0,
        "optimizer.batch_size": 2,
        "optimizer.epochs": 1,
        "runtime.device": "cpu",
        "run.dir": str(tmp_path / "run"),
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(settings.nest(flat)))
    return path


@pytest.fixture(scope="session")
def interrupt() -> Callable[[list[str], Callable[[], bool], signal.Signals], int]:
    """Runs ``space_clip`` with the arguments, signals it once it has begun, and returns its exit status."""

    def run(arguments: list[str], begun: Callable[[], bool], number: signal.Signals) -> int:
        command = [sys.executable, "-m", "space_clip_ros.cli.main", *arguments]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            end = time.monotonic() + 60
            while not begun():
                assert time.monotonic() < end
                time.sleep(0.01)
            process.send_signal(number)
            status = process.wait(30)
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        return status

    return run
