"""The demo's results, from a few arrivals worked out by hand."""

from __future__ import annotations

import dataclasses
import json

import pytest

from space_clip_ros.messages.diagnostics import DepthValues, Drop
from space_clip_ros.tools.demo.summary import summarize, table
from space_clip_ros.tools.latency import ArrivalLog

MS = 1_000_000
NODE = DepthValues(
    model="road_tiny",
    backend="onnxruntime",
    device="cpu",
    precision="fp32",
    dropped=2,
    dropped_by={Drop.REPLACED: 2},
    stages_ms={"convert": 0.5, "engine": 20.25},
    received=5,
)
EVALUATION = {"frames": 3, "metrics": {"abs_rel": 0.125, "a1": 0.875}}


@pytest.fixture
def arrivals() -> ArrivalLog:
    log = ArrivalLog(["depth/image", "depth/points"])
    for frame in range(3):
        stamp = frame * 100 * MS
        log.add("depth/image", stamp, stamp + 30 * MS)
        log.add("depth/points", stamp, stamp + 40 * MS)
    log.add("depth/image", 300 * MS, 330 * MS)
    return log


def test_the_summary_holds_counts_latencies_stages_and_errors(arrivals: ArrivalLog) -> None:
    summary = summarize(arrivals, 5, NODE, EVALUATION, {"drive": "a_drive"})
    assert (summary["frames_sent"], summary["frames_received"]) == (5, 3)
    assert summary["received"] == {"depth/image": 4, "depth/points": 3}
    assert summary["rate_hz"] == pytest.approx(10.0)
    latency = summary["latency_ms"]
    assert [latency[key] for key in ("p50", "p95", "p99")] == [40.0, 40.0, 40.0]
    assert latency["outputs"]["depth/image"]["p50"] == 30.0
    assert summary["stages_ms"] == {"convert": 0.5, "engine": 20.25}
    assert (summary["abs_rel"], summary["delta1"]) == (0.125, 0.875)
    assert (summary["model"], summary["backend"], summary["drive"]) == ("road_tiny", "onnxruntime", "a_drive")
    assert summary["drops"] == {"replaced by a newer one": 2}
    assert {"processor", "cores", "ros_distro"} <= summary["machine"].keys()
    assert json.loads(json.dumps(summary)) == summary


def test_the_table_shows_them(arrivals: ArrivalLog) -> None:
    text = table(summarize(arrivals, 5, NODE, EVALUATION, {}))
    assert "road_tiny on onnxruntime: 3 of 5 frames at 10.0 Hz; abs_rel 0.125, delta1 0.875" in text
    assert text.splitlines()[2].split() == ["depth/image", "30.0", "30.0", "30.0", "30.0", "4"]
    assert "convert 0.5, engine 20.2" in text
    assert "drops: 2 replaced by a newer one" in text


def test_a_run_without_any_output_says_so() -> None:
    summary = summarize(ArrivalLog(["depth/image"]), 5, DepthValues(), {"metrics": {}}, {})
    assert (summary["frames_received"], summary["rate_hz"], summary["abs_rel"]) == (0, None, None)
    assert summary["latency_ms"] == {"outputs": {"depth/image": None}}
    assert "no frame was compared" in table(summary)


def test_the_scale_is_there_if_it_was_asked_for(arrivals: ArrivalLog) -> None:
    scaled = dataclasses.replace(
        NODE, scale_mode="camera_height", scale_factor=1.0825, scale_sigma=0.0417, scale_evidence="camera height"
    )
    summary = summarize(arrivals, 5, scaled, EVALUATION, {})
    assert summary["scale"]["mode"] == "camera_height"
    assert (summary["scale"]["factor"], summary["scale"]["sigma"]) == (1.0825, 0.0417)
    assert table(summary).splitlines()[-1] == "scale while running: x 1.083 +- 4.2 %, from camera height"
    for none in (NODE, dataclasses.replace(NODE, scale_mode="none")):
        summary = summarize(arrivals, 5, none, EVALUATION, {})
        assert "scale" not in summary
        assert "scale" not in table(summary)
