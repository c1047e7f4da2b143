from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.messages.diagnostics import Drop
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.frame_statistics import RecordingStatistics, gather_statistics
from space_clip_ros.tools.reporting.recording import Topics, find_topics

LIMITS = (0.001, 80.0, "none")
PERIOD_NS = 100_000_000
Write = Callable[..., Path]


def read(path: Path) -> RecordingStatistics:
    with BagReader(path) as bag:
        return gather_statistics(bag, find_topics(bag, Topics()), LIMITS)


def test_errors_of_every_frame_and_of_all(recording: Path) -> None:
    report = read(recording)
    expected = [0.0, 0.01, 0.02, 0.5, 0.05]
    errors = [(frame.metrics or {})["abs_rel"] for frame in report.frames]
    # The furthest row, 60 m, is clipped to 80 m in frame 3: 90 m.
    assert errors[:3] + errors[4:] == pytest.approx(expected[:3] + expected[4:], abs=1e-6)
    assert 0.48 < errors[3] < 0.5
    assert report.metrics["abs_rel"] == pytest.approx(sum(errors) / 5)
    assert report.coverage == 1.0
    assert [(frame.metrics or {})["abs_rel"] for frame in report.compared()] == sorted(errors)
    assert sum(entry.pixels for entry in report.by_distance) == 5 * 32 * 48
    assert [entry.pixels for entry in report.by_region[:3]] == [0, 0, 5 * 8 * 8]


def test_arrivals_latencies_and_diagnostics(recording: Path) -> None:
    report = read(recording)
    assert len(report.images_ns) == 6
    latencies, since = report.latencies_ms()
    assert latencies == pytest.approx([40.0] * 5)
    assert since == "from the image's stamp"
    assert (report.node.backend, report.node.stages_ms) == ("<onnx>", {"engine": 31.25})
    # A reason that this version does not know, as a bag of another one may have it.
    assert report.node.dropped_by == {Drop.BAD_IMAGE: 1}


def test_latency_with_stamps_of_another_clock_counts_from_the_image(recording: Path) -> None:
    report = read(recording)
    late = [frame._replace(arrived_ns=frame.arrived_ns + 10**18) for frame in report.frames]
    images = {
        stamp: arrived + 10**18 for stamp, arrived in report.images_ns.items() if stamp != report.frames[1].stamp_ns
    }
    latencies, since = replace(report, frames=late, images_ns=images).latencies_ms()
    assert since == "from the image's arrival"
    assert math.isnan(latencies[1])
    assert latencies[0] == pytest.approx(39.0)


def test_an_offline_bag_has_no_latency(tmp_path: Path, write_recording: Write) -> None:
    assert read(write_recording(tmp_path / "bag", latency_ns=0, without=("/image",))).latencies_ms() == ([], "")


def test_depth_computed_from_a_live_bag_has_no_latency(tmp_path: Path, write_recording: Write) -> None:
    # Images came 1 ms after their stamps; predict --bag writes depth at its image's time.
    assert read(write_recording(tmp_path / "bag", latency_ns=1_000_000)).latencies_ms() == ([], "")


def test_without_truth_there_are_no_errors(tmp_path: Path, write_recording: Write) -> None:
    report = read(write_recording(tmp_path / "bag", without=("/ground_truth/image",)))
    assert (report.metrics, report.coverage, report.compared()) == ({}, None, [])
    assert len(report.frames) == 5


def test_uncertainty_is_compared_with_the_errors(tmp_path: Path, write_recording: Write) -> None:
    report = read(write_recording(tmp_path / "bag", extras=True))
    assert [frame.uncertainty for frame in report.frames] == pytest.approx([0.05] * 5)
    # Depth is off by 0, 1, 2 and 5 % in four frames, and by half in the other one, where sigma is 5 % of depth.
    assert report.uncertainty is not None
    assert report.uncertainty.within_1_sigma == report.uncertainty.within_2_sigma == pytest.approx(0.8, abs=0.01)
    plain = read(write_recording(tmp_path / "plain"))
    assert plain.uncertainty is None and {frame.uncertainty for frame in plain.frames} == {None}
    blind = read(write_recording(tmp_path / "blind", extras=True, without=("/ground_truth/image",)))
    assert blind.uncertainty is None and blind.frames[0].uncertainty == pytest.approx(0.05)


def test_the_scale_is_kept_over_time(tmp_path: Path, write_recording: Write) -> None:
    recorded = read(write_recording(tmp_path / "bag", extras=True))
    assert [report.values.scale_factor for report in recorded.scale] == [1.0, 1.02, 1.04, 1.06, 1.08, 1.1]
    assert [report.arrived_ns - recorded.scale[0].arrived_ns for report in recorded.scale] == [
        index * PERIOD_NS for index in range(6)
    ]
    assert [report.values.scale_problem for report in recorded.scale if report.values.scale_problem] == [
        "camera height: a wall"
    ]
    assert read(write_recording(tmp_path / "plain")).scale == []


def test_limits_are_checked(recording: Path) -> None:
    with BagReader(recording) as bag, pytest.raises(InputError, match="depth range"):
        gather_statistics(bag, find_topics(bag, Topics()), (5.0, 1.0, "none"))
