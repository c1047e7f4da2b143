"""Adopted networks in fp16 and int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from space_clip_ros.cli.drive_evidence import drive_evidence
from space_clip_ros.errors import ExportError, InputError
from space_clip_ros.export.adopt import adopt
from space_clip_ros.export.adopt_precision import LowerPrecision
from space_clip_ros.export.adopt_recipe import NORMALISATIONS, Recipe
from space_clip_ros.inference import load_predictor
from space_clip_ros.model_config import AdoptedConfig

MEAN, STD = NORMALISATIONS["imagenet"]
RECIPE = Recipe(size=(28, 42), mean=MEAN, std=STD, output="depth", max_depth=80.0, scale=4.0)
SIZE = (94, 312)


@pytest.fixture
def theirs(tmp_path: Path, third_party_models: Any) -> Path:
    return third_party_models.write(tmp_path / "theirs.onnx")


def products(file: Path, operator: str) -> int:
    return sum(node.op_type == operator for node in onnx.load(file).graph.node)


def test_fp16_products_give_nearly_the_models_depth(theirs: Path, tmp_path: Path) -> None:
    plain = adopt(theirs, tmp_path / "plain.onnx", RECIPE, *SIZE)
    half = adopt(theirs, tmp_path / "half.onnx", RECIPE, *SIZE, lower=LowerPrecision("fp16"))
    assert half.metadata.precision == "fp16" and half.metadata.largest_fp16 is not None
    assert half.metadata.largest_fp16 < 65504
    kernels = [tensor for tensor in onnx.load(half.path).graph.initializer if tensor.name.startswith("/network/kernel")]
    assert [tensor.data_type for tensor in kernels] == [TensorProto.FLOAT16]
    image = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    with load_predictor(plain.path) as first, load_predictor(half.path) as second:
        assert second.info.precision == "fp16"
        np.testing.assert_allclose(second(image), first(image), rtol=1e-2)


@pytest.mark.parametrize("symmetric", [False, True])
def test_int8_is_calibrated_and_judged_on_a_drive(
    theirs: Path, tmp_path: Path, symmetric: bool, kitti_drive_dir: Path
) -> None:
    evidence = drive_evidence(kitti_drive_dir, AdoptedConfig())
    lower = LowerPrecision("int8", evidence, symmetric)
    report = adopt(theirs, tmp_path / "small.onnx", RECIPE, *SIZE, lower=lower)
    assert products(report.path, "QuantizeLinear") > 0
    before, after = report.metadata.abs_rel or (0.0, 0.0)
    assert 0.0 < abs(after - before) < 0.01 * before
    with load_predictor(report.path) as predict:
        assert predict.info.precision == "int8" and predict.info.error_change is not None


def test_what_is_refused(theirs: Path, tmp_path: Path, third_party_models: Any) -> None:
    with pytest.raises(InputError, match="drive"):
        LowerPrecision("int8")
    half = third_party_models.write(tmp_path / "half.onnx", element=TensorProto.FLOAT16)
    with pytest.raises(InputError, match="in fp16 already"):
        adopt(half, tmp_path / "mine.onnx", RECIPE, *SIZE, lower=LowerPrecision("fp16"))
    large = onnx.load(theirs)
    for tensor in large.graph.initializer:
        if tensor.name == "kernel":
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * 1e6, "kernel"))
    onnx.save(large, theirs)
    with pytest.raises(ExportError, match="fp16"):
        adopt(theirs, tmp_path / "mine.onnx", RECIPE, *SIZE, lower=LowerPrecision("fp16"))
    assert not (tmp_path / "mine.onnx").exists()
