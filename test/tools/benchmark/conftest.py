"""A small random model: a checkpoint, a file for any image size and one for two images at once; a small training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros.export.onnx import export
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.model import SpaceClip, save_checkpoint
from space_clip_ros.settings import nest, parse
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.tools.benchmark import roofline
from space_clip_ros.training_config import TrainingConfig


@pytest.fixture(autouse=True)
def short_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's limits come from a few tries each; nothing here depends on their figures."""
    monkeypatch.setattr(roofline, "_MEASURE_S", 0.02)


@pytest.fixture(scope="session")
def model_dir(made_once: Callable[[str, Callable[[Path], object]], Path], tiny_model: Callable[..., SpaceClip]) -> Path:
    """Holds any.onnx, pair.onnx (two images of 100 x 60 pixels at once), tiny.safetensors."""

    def make(folder: Path) -> None:
        model = tiny_model()
        save_checkpoint(model, folder / "tiny.safetensors")
        export(model, folder / "any.onnx")
        export(model, folder / "pair.onnx", 60, 100, batch=2)

    return made_once("measured", make)


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    """The recipe on a small network and four small synthetic frames."""
    folder = tmp_path_factory.mktemp("drives")
    write_drive(folder, 4, seed=1, camera=PinholeCamera(128, 48, 80.0, 80.0, 64.0, 22.0), scans=False)
    flat = {
        "model.encoder.width": 16,
        "model.encoder.heads": 2,
        "model.encoder.image_size": 32,
        "model.decoder.channels": [8, 8, 8, 8],
        "model.decoder.film_hidden": 8,
        "model.decoder.dropout": 0.0,
        "model.input_size": [32, 64],
        "data.train": [{"path": str(folder)}],
        "augmentation.crop": [40, 80],
        "optimizer.batch_size": 2,
        "optimizer.lr": 1e-3,
        "runtime.device": "cpu",
        "runtime.threads": 1,
    }
    return parse(TrainingConfig, nest(flat))
