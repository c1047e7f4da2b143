"""The eager run computes what the exported file does, and its stages are all there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from space_clip_ros.errors import ModelError
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.tools.benchmark.eager import EagerModel, checkpoint_config

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 60, 100, 3), dtype=np.uint8)


def test_it_agrees_with_the_exported_file(model_dir: Path) -> None:
    eager = EagerModel(model_dir / "tiny.safetensors", "cpu", threads=1)
    depth = eager.run(IMAGES)
    assert depth.shape == (2, 60, 100) and depth.dtype == np.float32
    np.testing.assert_allclose(depth, OnnxSessions(model_dir / "pair.onnx", threads=1).run(IMAGES), rtol=1e-3)
    assert eager.config == checkpoint_config(model_dir / "tiny.safetensors")


def test_every_stage_is_timed(model_dir: Path) -> None:
    stages = EagerModel(model_dir / "tiny.safetensors", "cpu", threads=1).separate(IMAGES)
    assert list(stages) == ["copy_in", "preprocess", "encoder", "decoder", "postprocess", "copy_out"]
    assert all(value > 0 for value in stages.values())


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        EagerModel(tmp_path / "x.safetensors", "cpu")
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        checkpoint_config(tmp_path / "x.safetensors")
