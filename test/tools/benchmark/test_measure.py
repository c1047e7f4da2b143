"""A whole case: every figure is there and they agree with each other; no time is judged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.benchmark.eager import EagerModel
from space_clip_ros.tools.benchmark.measure import Case, measure, peak_memory, steps
from space_clip_ros.tools.benchmark.measured_model import open_model
from space_clip_ros.tools.benchmark.roofline import Roofline

ROOFLINE = Roofline(100.0, 10.0, 1, "nothing")


def test_a_case_next_to_floor_and_eager(model_dir: Path) -> None:
    case = Case(100, 60, batch=1, frames=7)
    model = open_model(model_dir / "any.onnx", "auto", "auto", "auto", 1)
    held = peak_memory(model, case)
    assert held["resident"] > 10 and held["device"] is None
    advanced: list[int] = []
    eager = EagerModel(model_dir / "tiny.safetensors", "cpu", 1)
    result = measure(model, eager, ROOFLINE, case, lambda: advanced.append(1))
    model.close()
    assert len(advanced) == steps(case, compared=True) == 14
    assert json.loads(json.dumps(result)) == result
    assert (result["size"], result["batch"], result["runs"]) == ([100, 60], 1, 7)
    assert set(result["stages_ms"]) == {"copy_in", "inference"}
    assert {"preprocess", "encoder", "decoder", "postprocess"} < set(result["separated_ms"])
    assert result["stages_ms"]["inference"]["p50"] <= result["total_ms"]["max"]
    assert list(result["obstacles_ms"]) == ["ground plane", "obstacles", "scan", "ground, obstacles and scan"]
    floor = result["floor"]
    assert floor["compute_ms"] == pytest.approx(floor["gigaoperations"] / 100 * 1e3, rel=0.05)
    assert floor["share"] == pytest.approx(floor["ms"] / result["total_ms"]["p50"], abs=1e-3)
    assert result["eager"]["times_faster"] == pytest.approx(
        result["eager"]["total_ms"]["p50"] / result["total_ms"]["p50"], rel=1e-2
    )


def test_a_batch_without_floor_and_eager(model_dir: Path) -> None:
    model = open_model(model_dir / "pair.onnx", "auto", "auto", "auto", 1)
    result = measure(model, None, None, Case(100, 60, batch=2, frames=5))
    model.close()
    assert result["runs"] == 3 and result["floor"] is None and result["eager"] is None
    with pytest.raises(InputError, match="takes only images of 100 x 60"):
        peak_memory(model, Case(10, 10, 2, 2))
    with pytest.raises(InputError, match="takes only images of 100 x 60"):
        measure(model, None, None, Case(10, 10, 2, 2))


def test_images_are_the_same_every_time() -> None:
    case = Case(30, 20, batch=2, frames=1)
    images = case.images()
    assert images.shape == (2, 20, 30, 3) and images.dtype == np.uint8 and images.std() > 10
    np.testing.assert_array_equal(images, case.images())
    assert case.runs == 1
