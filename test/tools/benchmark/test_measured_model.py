"""The benchmark measures what users run: predictors, or ONNX Runtime for files that take several images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.export.onnx import export
from space_clip_ros.inference import loading
from space_clip_ros.model import load_checkpoint
from space_clip_ros.tools.benchmark.measured_model import check_images, open_model

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 60, 100, 3), dtype=np.uint8)


def test_an_exported_file(model_dir: Path) -> None:
    model = open_model(model_dir / "any.onnx", "auto", "auto", "auto", 1)
    depth, stages = model.run(IMAGES[:1])
    assert depth.shape == (1, 60, 100) and list(stages) == ["copy_in", "inference"]
    assert len(model.separate(IMAGES[:1], 2)) == 2 and "profiler" in model.separated_by
    assert (model.info.backend, model.config.name, model.device_memory()) == ("onnxruntime", "tiny", None)
    together, stages = model.run(IMAGES)
    np.testing.assert_allclose(together[:1], depth, rtol=1e-5, atol=1e-5)
    assert together.shape == (2, 60, 100) and list(stages) == ["copy_in", "inference"]
    assert len(model.separate(IMAGES, 1)) == 1
    model.close()


def test_a_file_for_one_image(model_dir: Path, tmp_path: Path) -> None:
    export(load_checkpoint(model_dir / "tiny.safetensors"), tmp_path / "one.onnx", batch=1)
    model = open_model(tmp_path / "one.onnx", "auto", "auto", "auto", 1)
    assert model.run(IMAGES[:1])[0].shape == (1, 60, 100)
    with pytest.raises(InputError, match="takes 1 images at once, got 2"):
        model.run(IMAGES)
    model.close()


def test_a_file_for_several_images(model_dir: Path) -> None:
    model = open_model(model_dir / "pair.onnx", "auto", "auto", "auto", 1)
    depth, stages = model.run(IMAGES)
    assert depth.shape == (2, 60, 100) and list(stages) == ["inference"]
    check_images(model.info, 2, 60, 100)
    with pytest.raises(InputError, match="takes only images of 100 x 60 pixels, not 100 x 61"):
        check_images(model.info, 2, 61, 100)
    with pytest.raises(InputError, match="takes only 2 images at once, not 1; give --batch 2"):
        check_images(model.info, 1, 60, 100)
    model.close()
    for backend, device in (("torch", "auto"), ("auto", "cuda")):
        with pytest.raises(BackendError, match=rf"2 images at once, .* not on backend {backend}, device {device}; exp"):
            open_model(model_dir / "pair.onnx", backend, device, "auto", 1)
    with pytest.raises(BackendError, match=r"precision fp16: .*pair\.onnx runs in fp32; give precision auto"):
        open_model(model_dir / "pair.onnx", "auto", "auto", "fp16", 1)


def test_an_engine(model_dir: Path, fake_gpu: Any) -> None:
    from space_clip_ros.export.engine import build_engine

    build_engine(model_dir / "any.onnx", (60, 100))
    model = open_model(model_dir / "any.onnx", "tensorrt", "auto", "auto", 1)
    depth, stages = model.run(IMAGES[:1])
    assert depth.shape == (1, 60, 100) and list(stages) == ["copy_in", "inference", "copy_out"]
    assert model.separated_by == "" and model.separate(IMAGES[:1], 1) == []
    with pytest.raises(InputError, match=r"TensorRT runs one image at a time, got 2; give --batch 1"):
        model.run(IMAGES)
    model.close()


def test_a_checkpoint(model_dir: Path) -> None:
    model = open_model(model_dir / "tiny.safetensors", "torch", "cpu", "auto", 1)
    depth, stages = model.run(IMAGES)
    assert depth.shape == (2, 60, 100) and list(stages) == ["copy_in", "inference", "copy_out"]
    assert list(model.separate(IMAGES, 1)[0])[1:4] == ["preprocess", "encoder", "decoder"]
    assert model.config.name == "tiny" and "eager" in model.separated_by
    model.close()


def test_a_package(package_dir: Path) -> None:
    model = open_model(package_dir / "tiny.pt2", "auto", "auto", "auto", 1)
    depth, stages = model.run(IMAGES[:1])
    assert depth.shape == (1, 60, 100) and list(stages) == ["copy_in", "inference", "copy_out"]
    assert model.separated_by == "" and model.separate(IMAGES[:1], 1) == []
    assert model.config.name == "tiny" and model.cost["encoder"].operations > 0
    with pytest.raises(InputError, match=r"a package runs one image at a time, got 2; give --batch 1"):
        model.run(IMAGES)
    model.close()


@pytest.mark.parametrize("vnni", [False, True])
def test_a_name_is_the_file_that_everything_else_takes(monkeypatch: pytest.MonkeyPatch, vnni: bool) -> None:
    monkeypatch.setattr(loading, "has_vnni", lambda: vnni)
    model = open_model("road_tiny", "auto", "cpu", "auto", 1)
    assert model.info.file.name == ("road_tiny_int8.onnx" if vnni else "road_tiny.onnx")
    model.close()


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="no such name"):
        open_model("nothing", "auto", "auto", "auto", 1)
