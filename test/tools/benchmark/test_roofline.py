"""The machine's limits are measured in a separate process, and the best of many tries counts."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from space_clip_ros.errors import BackendError
from space_clip_ros.tools.benchmark import roofline


def test_a_measurement_gives_rates() -> None:
    result = roofline.measure_cpu(1)
    assert result.gflops > 0 and result.gbytes > 0
    assert result.threads == 1 and result.measured_by.startswith("NumPy ")


@pytest.mark.parametrize(("precision", "measured"), [("fp16", "fp16"), ("fp32", "fp32"), ("int8", "fp32")])
def test_a_gpu_is_measured_in_the_models_own_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: str, measured: str
) -> None:
    # the measuring process needs the GPU; here it only says what it was asked
    (tmp_path / "asked.py").write_text(
        "import json, sys\n"
        "json.dump({'gflops': 1.0, 'gbytes': 2.0, 'measured_by': ' '.join(sys.argv[1:])}, sys.stdout)\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(roofline, "_DEVICE_PROCESS", "asked")
    result = roofline.measure_device("cuda:1", precision)
    assert result == roofline.Roofline(1.0, 2.0, 0, f"cuda:1 {measured}", measured)


def test_the_best_try_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # The clock is read once for the end, then at each check and around each try: tries of 2, 1 and 4 seconds.
    readings = iter([0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 7.0, 7.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings))
    acted: list[int] = []
    assert roofline.best_rate(10.0, lambda: acted.append(1), seconds=5.0) == pytest.approx(10.0)
    assert len(acted) == 4  # the first does not count


def test_a_process_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BackendError, match="could not be measured"):
        roofline.measure_cpu(1)
