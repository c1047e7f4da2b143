"""Profile events to stages: invented events worked out by hand, and a real profile of a real file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import BackendError, InputError
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.tools.benchmark.attribution import BETWEEN, attribute, stage_of


def operator(name: str, ts: int, dur: int) -> dict[str, object]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur}


def run(ts: int, dur: int) -> dict[str, object]:
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur}


@pytest.mark.parametrize(
    ("name", "previous", "stage"),
    [
        ("/Cast_180", "preprocess", "preprocess"),
        ("/model/encoder/conv1/Conv_output_0_nchwc", "preprocess", "encoder"),
        ("gemm_output_reshape_token_71", "encoder", "encoder"),
        ("fused /model/decoder/film.0/hidden/Gemm", "encoder", "decoder"),
        ("ReorderOutput_token_426", "decoder", "decoder"),
        ("/model/depth_head/refine/Relu_output_0_nchwc", "decoder", "decoder"),
        ("/model/Resize", "decoder", "postprocess"),
        ("/Gather_34", "postprocess", "postprocess"),
        ("/Gather_34", "decoder", "postprocess"),
    ],
)
def test_stage_of_an_operator(name: str, previous: str, stage: str) -> None:
    assert stage_of(name, previous) == stage


def test_times_add_up_run_by_run() -> None:
    events = [
        {"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 900},
        operator("/Cast", 1000, 100),
        operator("/model/encoder/MatMul", 1100, 2000),
        operator("Reorder", 3100, 500),
        operator("/model/decoder/Conv", 3600, 3000),
        operator("/model/Resize", 6600, 400),
        run(1000, 7000),
        operator("/model/encoder/MatMul", 9000, 1000),
        run(9000, 1500),
    ]
    first, second = attribute(events)
    assert first == pytest.approx({"preprocess": 0.1, "encoder": 2.5, "decoder": 3.0, "postprocess": 0.4, BETWEEN: 1.0})
    assert second["encoder"] == pytest.approx(1.0) and second[BETWEEN] == pytest.approx(0.5)


@pytest.mark.parametrize("events", [[], [run(0, 5)], [operator("/Cast", 0, 1)]])
def test_a_profile_without_runs_or_operators_is_refused(events: list[dict[str, object]]) -> None:
    with pytest.raises(BackendError, match="names no operators"):
        attribute(events)


def test_a_real_profile(model_dir: Path) -> None:
    sessions = OnnxSessions(model_dir / "any.onnx", threads=1)
    result = attribute(sessions.profile(np.zeros((1, 60, 100, 3), np.uint8), runs=3))
    assert len(result) == 3
    for stages in result:
        assert list(stages) == ["preprocess", "encoder", "decoder", "postprocess", BETWEEN]
        assert all(stages[name] > 0 for name in ("preprocess", "encoder", "decoder", "postprocess"))
    pair = OnnxSessions(model_dir / "pair.onnx", threads=1)
    with pytest.raises(InputError, match="takes 2 images at once, got 1"):
        pair.profile(np.zeros((1, 60, 100, 3), np.uint8), runs=1)
