"""The model file that tests use where there is no PyTorch to export one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from space_clip_ros.inference import load_predictor


def test_it_is_what_is_exported_today(tiny_model_file: Path, project_root: Path) -> None:
    """If not: copy what ``tiny_model_file`` exports to ``test/tiny_random.onnx``."""
    kept = load_predictor(project_root / "test" / "tiny_random.onnx", threads=1)
    fresh = load_predictor(tiny_model_file, threads=1)
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    np.testing.assert_allclose(kept(picture), fresh(picture), rtol=1e-4)
    assert kept.info.name == fresh.info.name
