"""Diagnostic values: written as text, read back by the same declaration."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus

from space_clip_ros.evaluation.metrics import METRICS
from space_clip_ros.messages.diagnostics import (
    DepthValues,
    Drop,
    EvaluationValues,
    Level,
    NodeState,
    PlaybackValues,
    status,
    status_array,
    status_texts,
)

DEPTH = DepthValues(
    state=NodeState.ACTIVE,
    failure="",
    model="road_tiny",
    depth_factor=1.25,
    focal_factor=0.625,
    focal_scaling="depth x 0.625",
    received=120,
    received_hz=10.0,
    age_ms_p50=42.0,
    dropped=20,
    dropped_by={Drop.REPLACED: 15, Drop.BAD_IMAGE: 5},
    stages_ms={"convert": 0.1, "engine/inference": 30.25},
)


def test_texts_leave_out_what_is_unknown() -> None:
    assert DEPTH.texts() == {
        "state": "active",
        "failure": "",
        "model": "road_tiny",
        "depth_factor": "1.2500",
        "focal_factor": "0.6250",
        "focal_scaling": "depth x 0.625",
        "received": "120",
        "received_hz": "10.00",
        "age_ms_p50": "42.0",
        "dropped": "20",
        "dropped: replaced by a newer one": "15",
        "dropped: bad image": "5",
        "stage_ms: convert": "0.10",
        "stage_ms: engine/inference": "30.25",
    }


@pytest.mark.parametrize(
    "values",
    [
        DEPTH,
        DepthValues(),
        PlaybackValues(frames_sent=3, frames_late=0, latest_by_ms=1.5, frame_rate_hz=10.0, finished=True),
        PlaybackValues(finished=False),
        EvaluationValues(abs_rel=0.125, frames=7, crop="garg", coverage=0.5),
    ],
)
def test_values_are_read_back(values: DepthValues) -> None:
    assert type(values).read(values.texts()) == values


def test_keys_of_others_are_passed_over_and_wrong_texts_refused() -> None:
    assert DepthValues.read({"temperature": "hot", "received": "7", "dropped: busy": "1"}) == DepthValues(received=7)
    with pytest.raises(ValueError, match="many"):
        DepthValues.read({"received": "many"})


def test_every_metric_has_its_value() -> None:
    assert set(METRICS) <= set(EvaluationValues.__dataclass_fields__)


def test_a_status_and_its_report() -> None:
    made = status("depth: depth estimation", Level.WARN, "no image", DEPTH.texts(), "cpu")
    assert (made.name, made.level, made.message, made.hardware_id) == (
        "depth: depth estimation",
        DiagnosticStatus.WARN,
        "no image",
        "cpu",
    )
    assert status_texts(made) == DEPTH.texts()
    report = status_array(Time(sec=7), [made, status("b", Level.OK, "", {})])
    assert report.header.stamp.sec == 7
    assert [item.name for item in report.status] == ["depth: depth estimation", "b"]


@pytest.mark.parametrize(("level", "theirs"), [(Level.OK, "OK"), (Level.WARN, "WARN"), (Level.ERROR, "ERROR")])
def test_levels_are_those_of_ros(level: Level, theirs: str) -> None:
    assert bytes([level]) == getattr(DiagnosticStatus, theirs)
