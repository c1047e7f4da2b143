from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from space_clip_ros.messages.diagnostics import DepthValues, Drop
from space_clip_ros.tools.reporting.errors_by_place import COLUMNS, EDGES_M, ROWS, MeanErrors
from space_clip_ros.tools.reporting.figures import error_by_place, over_time, summary
from space_clip_ros.tools.reporting.frame_statistics import FrameStatistics, RecordingStatistics
from space_clip_ros.tools.reporting.recording import ReportSource

METRICS = dict.fromkeys(("abs_rel", "sq_rel", "rmse", "rmse_log", "log_10", "silog", "a1", "a2", "a3"), 0.25)
NONE = MeanErrors(0, float("nan"), float("nan"), float("nan"))
START_NS = 1_790_000_000_000_000_000


def statistics(stamps_ms: list[int], latency_ms: int = 30, **changes: Any) -> RecordingStatistics:
    frames = [
        FrameStatistics(START_NS + stamp * 10**6, START_NS + (stamp + latency_ms) * 10**6, METRICS)
        for stamp in stamps_ms
    ]
    images = {frame.stamp_ns: frame.stamp_ns + 10**6 for frame in frames}
    values = {
        "frames": frames,
        "images_ns": images,
        "metrics": METRICS,
        "coverage": 0.5,
        "by_distance": [MeanErrors(10, 0.1, -0.05, 0.9)] + [NONE] * (len(EDGES_M) - 2),
        "by_region": [MeanErrors(10, 0.1, -0.05, 0.9)] + [NONE] * (ROWS * COLUMNS - 1),
        "node": DepthValues(),
    }
    return RecordingStatistics(**{**values, **changes})


def show(recording: RecordingStatistics, run: Mapping[str, Any] | None = None) -> str:
    return summary(recording, ReportSource("run", Path("bag"), run or {}))


def test_the_rate_is_that_of_recording() -> None:
    assert statistics([0, 100, 200, 500]).rate_hz() == pytest.approx(6.0)
    assert statistics([0]).rate_hz() is None


@pytest.mark.parametrize("count", [2, 6, 29])
def test_an_even_rate_is_an_even_line(count: int) -> None:
    html = over_time(statistics([125 * index for index in range(count)]), {})
    # The charts of latency, rate and error.
    _, path, _ = re.findall(r'<path class="line line-0" d="([^"]+)"', html)
    points = re.findall(r"([\d.]+) ([\d.]+)", path)
    assert len(points) >= 2 and len({height for _, height in points}) == 1


def test_the_summary_has_the_main_figures() -> None:
    html = show(statistics([0, 100, 200]))
    origin = "latency p50, from the image&#x27;s stamp to the recorder"
    for words in ("3 of 3", "10.0 Hz", "30 ms", "0.250", "25.0%", "50.0%", origin):
        assert words in html


def test_the_headline_latency_is_the_subscribers() -> None:
    html = show(statistics([0, 100, 200], latency_ms=492), {"latency_ms": {"p50": 101.2, "p95": 130.4}})
    assert "<b>101 ms</b>" in html
    assert "<b>130 ms</b>" in html
    assert "492" not in html


def test_what_is_unknown_is_left_out() -> None:
    html = show(statistics([0], images_ns={}, metrics={}, coverage=None, latency_ms=0))
    assert re.findall(r"<b>(.*?)</b>", html) == ["1"]
    assert "<table" not in html


def test_diagnostics_replace_a_missing_summary() -> None:
    node = DepthValues(backend="torch", stages_ms={"engine": 12.34}, dropped_by={Drop.TOO_OLD: 7})
    html = show(statistics([0, 100], node=node))
    for cell in ("torch", "engine", "12.34", "dropped: too old", "7"):
        assert f"<td>{cell}</td>" in html
    html = show(statistics([0, 100], node=node), {"backend": "onnxruntime", "stages_ms": {"engine": 5.0}})
    assert "onnxruntime" in html
    assert "12.34" not in html


def test_charts_are_drawn_of_what_is_known() -> None:
    result = statistics([0, 400, 800, 1200, 1600, 2000])
    assert over_time(result, {result.frames[2].stamp_ns: "worst"}).count("<svg") == 3
    assert over_time(result, {result.frames[2].stamp_ns: "worst"}).count('class="mark"') == 1
    offline = statistics([0, 400], latency_ms=0, metrics={}, images_ns={})
    assert over_time(offline, {}).count("<svg") == 1


def test_errors_by_place_have_a_row_for_each_known_distance() -> None:
    html = error_by_place(statistics([0]), "", 3.0, "garg")
    assert "<td>0-5 m</td><td>0.100</td><td>-0.050</td><td>90.0%</td><td>10</td>" in html
    assert html.count("<tr>") == 2
    assert html.count('class="cell"') == 1
    assert error_by_place(statistics([0], metrics={}), "", 3.0, "garg") == ""
