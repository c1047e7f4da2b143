"""The soak test itself, for a few seconds: that it feeds, measures and judges."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def soak(project_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("soak", project_root / "test" / "soak.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    return module


def run(soak: ModuleType, growth_mib: float, hz: float) -> object:
    seconds = [float(second) for second in range(101)]
    memory = [100 + growth_mib * second / 100 for second in seconds]
    return soak.Run(seconds, memory, [int(hz * second) for second in seconds])


def test_the_numbers(soak: ModuleType) -> None:
    summary = run(soak, growth_mib=1.0, hz=10.0).summary()
    assert summary["mib_per_hour"] == pytest.approx(36.0)
    assert summary["growth_mib"] == pytest.approx(0.61)
    assert (summary["first_hz"], summary["last_hz"]) == (10.0, 10.0)
    assert soak.judged(summary, 0, 16.0) == []


def test_what_does_not_hold_is_said(soak: ModuleType) -> None:
    summary = run(soak, growth_mib=100.0, hz=10.0).summary()
    assert soak.judged({**summary, "last_hz": 7.9}, -11, 16.0) == [
        "the node ended with status -11",
        "memory grew by 61.0 MiB, more than 16",
        "the rate fell from 10.0 to 7.9 Hz",
    ]


@pytest.mark.timeout(400)
def test_it_runs(project_root: Path, tiny_model_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    command = [sys.executable, str(project_root / "test" / "soak.py"), "--minutes", "0.1", "--size", "64", "48"]
    # Seconds on a busy machine say nothing about memory or rate: what is tested is that it runs to the end.
    done = subprocess.run(
        [*command, "--model", str(tiny_model_file), "--growth", "200", "--json", str(file)],
        capture_output=True,
        text=True,
        timeout=350,
        check=False,
    )
    summary = json.loads(file.read_text(encoding="utf-8"))
    assert "the node ended" not in done.stderr, done.stderr
    assert summary["private_mib"] > 10
    assert summary["first_hz"] > 0, done.stderr
