"""What language features cost beside depth: every set of outputs has its times; no time is judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.export.onnx import export
from space_clip_ros.model import SpaceClip, save_checkpoint
from space_clip_ros.model_config import LanguageConfig
from space_clip_ros.tools.benchmark.measured_model import open_model
from space_clip_ros.tools.benchmark.output_costs import outputs_ms

IMAGES = np.zeros((1, 60, 100, 3), np.uint8)


def test_each_output_is_timed_beside_depth(tiny_model: Callable[..., SpaceClip], tmp_path: Path) -> None:
    language = LanguageConfig(outputs=("embedding", "dense"), embed_dim=24)
    export(tiny_model(language=language), tmp_path / "a.onnx", 60, 100)
    model = open_model(tmp_path / "a.onnx", "auto", "cpu", "auto", 1)
    result = outputs_ms(model, IMAGES, 3)
    model.close()
    assert list(result) == ["depth", "depth, embedding", "depth, dense", "depth, embedding, dense"]
    assert result["depth"]["ratio"] == 1.0
    for cost in result.values():
        assert cost["ratio"] == pytest.approx(cost["ms"]["p50"] / result["depth"]["ms"]["p50"], rel=0.01)


def test_models_that_always_compute_everything_are_left_out(
    tiny_model: Callable[..., SpaceClip], tmp_path: Path
) -> None:
    language = LanguageConfig(outputs=("dense",), embed_dim=24)
    save_checkpoint(tiny_model(language=language), tmp_path / "a.safetensors")
    model = open_model(tmp_path / "a.safetensors", "auto", "cpu", "auto", 1)
    assert outputs_ms(model, IMAGES, 3) == {}
    model.close()
