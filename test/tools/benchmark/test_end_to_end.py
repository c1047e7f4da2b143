"""From stamp to subscriber over real DDS, between real processes; no time is judged."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from space_clip_ros.tools.benchmark.end_to_end import over_engine_ms, overhead_ms


def measure(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
    command = [sys.executable, "-m", "space_clip_ros.tools.benchmark.end_to_end", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)


def test_overhead_is_every_stage_but_the_engine() -> None:
    stages_ms = {"convert": 0.5, "engine": 20.0, "engine/inference": 19.0, "range": 0.25, "depth/points": 2.0}
    assert overhead_ms(stages_ms) == pytest.approx(2.75)
    assert overhead_ms({}) == 0.0


def test_latency_over_the_engines_time() -> None:
    times = {"p50": 30.0, "p99": 55.5}
    assert over_engine_ms(times, {"engine": 20.0, "range": 1.0}) == {"p50": 10.0, "p99": 35.5}
    assert over_engine_ms(None, {"engine": 20.0}) is None
    assert over_engine_ms(times, {}) is None


def test_a_few_frames(tiny_model_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "end_to_end.json"
    options = ("--size", "96x64", "--frames", 4, "--rate", 4, "--also", "depth/color")
    done = measure("--model", tiny_model_file, *options, "--json", file)
    assert done.returncode == 0, done.stderr
    (part,) = json.loads(file.read_text(encoding="utf-8"))
    assert (part["size"], part["rate_hz"], part["stride"], part["frames_sent"]) == ([96, 64], 4.0, 1, 4)
    assert part["depth_resolution"] == "image"
    assert 1 <= part["frames_received"] <= 4
    assert set(part["latency_ms"]) == {"depth/image", "depth/points", "depth/color"}
    for times in part["latency_ms"].values():
        assert 0 < times["p50"] <= times["p95"] <= times["p99"] <= times["max"]
    assert {"convert", "engine", "depth/image", "depth/points"} <= set(part["stages_ms"])
    assert part["over_engine_ms"]["depth/image"] == over_engine_ms(part["latency_ms"]["depth/image"], part["stages_ms"])
    assert part["overhead_ms"] == pytest.approx(overhead_ms(part["stages_ms"]), abs=1e-3)
    assert (part["model"], part["backend"]) == ("tiny_random", "onnxruntime")
    assert part["rmw"] and part["dds_profile"].startswith("fastdds.xml")
    assert "points to cloud" in part["conversions_ms"]


def test_uncertainty_of_a_model_without_it_is_one_line(tiny_model_file: Path, tmp_path: Path) -> None:
    options = ("--size", "96x64", "--also", "depth/uncertainty", "--json", tmp_path / "a.json")
    done = measure("--model", tiny_model_file, *options)
    assert done.returncode == 1
    assert "the model gives no uncertainty; leave out --also depth/uncertainty" in done.stderr.strip().splitlines()[-1]


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    done = measure("--model", "/nowhere/model.onnx", "--size", "96x64", "--json", tmp_path / "a.json")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("end_to_end: depth_node: ") and "/nowhere/model.onnx" in last
    assert not (tmp_path / "a.json").exists()


def test_being_ended_leaves_no_process_behind(tiny_model_file: Path, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    environment = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
    options = ["--model", str(tiny_model_file), "--size", "96x64", "--frames", "10000", "--json", str(tmp_path / "a")]
    process = subprocess.Popen(
        [sys.executable, "-m", "space_clip_ros.tools.benchmark.end_to_end", *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "SPACE_CLIP_TEST_RUN": mark},
    )
    assert process.stderr is not None
    assert any("images sent" in line for line in process.stderr)
    assert len(descendants(mark)) >= 3
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    process.stderr.close()
    end = time.monotonic() + 30
    while descendants(mark) and time.monotonic() < end:
        time.sleep(0.1)
    assert not descendants(mark)


def descendants(mark: str) -> list[str]:
    """Ids of the processes that inherited a mark in their environment."""
    results = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"SPACE_CLIP_TEST_RUN={mark}".encode() in path.read_bytes():
                results.append(path.parent.name)
    return results


def test_wrong_usage() -> None:
    done = measure("--size", "wide", "--json", "a.json")
    assert done.returncode == 2 and "must be WIDTHxHEIGHT in pixels, got 'wide'" in done.stderr
