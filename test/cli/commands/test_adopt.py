"""``space_clip adopt``, and other commands with what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from space_clip_ros.cli.main import main

KNOWN = ["--size", "28", "56", "--normalise", "imagenet", "--output", "depth", "--max-depth", "80", "--scale", "4"]


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory, third_party_models: Any) -> Path:
    folder = tmp_path_factory.mktemp("adopted")
    cv2.imwrite(str(folder / "street.png"), np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    theirs = third_party_models.write(folder / "theirs.onnx", confidence=True)
    arguments = ["adopt", str(theirs), "--out", str(folder / "mine.onnx"), *KNOWN, "--depth-output", "depth"]
    arguments += ["--uncertainty", "confidence", "--uncertainty-kind", "confidence", "--uncertainty-scale", "0.4"]
    arguments += ["--training-camera", "312", "94", "180", "180", "--images", str(folder / "street.png")]
    assert main(arguments) == 0
    return folder / "mine.onnx"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (("--max-depth", "nan"), "--max-depth: needs finite numbers, got nan"),
        (("--max-depth", "inf"), "--max-depth: needs finite numbers, got inf"),
        (("--mean", "0", "nan", "0", "--std", "1", "1", "1"), "--mean: needs finite numbers, got 0/nan/0"),
        (("--mean", "0", "0", "0", "--std", "1", "0", "1"), "--std: must be above 0, got 1/0/1"),
        (("--training-camera", "6", "4", "nan", "4"), "--training-camera: needs finite numbers"),
        (("--canonical-focal", "nan"), "--canonical-focal: needs finite numbers"),
        (("--uncertainty", "confidence", "--uncertainty-scale", "-1"), "--uncertainty-scale: must be above 0, got -1"),
        (("--uncertainty", "confidence", "--uncertainty-scale", "nan"), "--uncertainty-scale: needs finite numbers"),
        (("--scale", "-1"), "mine.onnx: its depth is 0 everywhere on 3 images; check --output, --scale and --shift"),
    ],
)
def test_numbers_that_mean_nothing_are_named(
    tmp_path: Path, third_party_models: Any, capsys: pytest.CaptureFixture[str], option: tuple[str, ...], text: str
) -> None:
    theirs = third_party_models.write(tmp_path / "theirs.onnx", confidence=True)
    known = ["--size", "28", "56", "--output", "depth", "--max-depth", "80", "--depth-output", "depth"]
    usual = [] if "--mean" in option else ["--normalise", "imagenet"]
    assert main(["adopt", str(theirs), "--out", str(tmp_path / "mine.onnx"), *known, *usual, *option]) == 1
    assert text in capsys.readouterr().err
    assert not (tmp_path / "mine.onnx").exists()


def test_the_report_names_file_cost_and_difference(
    tmp_path: Path, third_party_models: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = third_party_models.write(tmp_path / "theirs.onnx")
    arguments = ["--preset", "depth_anything_v2_relative", "--size", "28", "28"]
    assert main(["adopt", str(theirs), "--out", str(tmp_path / "mine.onnx"), *arguments]) == 0
    output = capsys.readouterr().out
    assert "mine.onnx: mine, any size, any batch, fp32" in output
    assert "28x28 lower_bound, multiple of 14, bicubic" in output
    assert "Apache-2.0" in output and "GFLOP an image" in output and "0 of them given" in output
    assert "depth is relative, not metric" in output


def test_the_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", "--presets"]) == 0
    output = capsys.readouterr().out
    for name in ("depth_anything_v2_metric_outdoor", "depth_anything_v3_metric", "metric3d_v2", "unidepth_v2", "moge"):
        assert f"{name}: " in output
    assert output.count("licence") >= 10 and output.count("trained on") == 10


def test_what_is_missing_and_an_unknown_preset_are_one_line_each(
    tmp_path: Path, third_party_models: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = str(third_party_models.write(tmp_path / "theirs.onnx"))
    out = str(tmp_path / "mine.onnx")
    assert main(["adopt", theirs, "--out", out]) == 1
    missing = capsys.readouterr().err
    assert missing.count("\n") == 1 and "--size" in missing and "--normalise imagenet|" in missing
    assert main(["adopt", theirs, "--out", out, "--preset", "dpt"]) == 1
    assert "depth_anything_v2_metric_indoor" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["theirs.onnx"],
        ["theirs.onnx", "--out", "mine.pt"],
        ["theirs.onnx", "--out", "mine.onnx", "--height", "4"],
        ["theirs.onnx", "--out", "mine.onnx", "--normalise", "bytes", "--mean", "0", "0", "0"],
        ["theirs.onnx", "--out", "mine.onnx", "--set", "tokens"],
        ["theirs.onnx", "--out", "mine.onnx", "--precision", "int8"],
        ["theirs.onnx", "--out", "mine.onnx", "--precision", "fp16", "--symmetric"],
        ["theirs.onnx", "--out", "theirs.onnx"],
        ["theirs.onnx", "--out", "mine.onnx", "--uncertainty-scale", "2"],
        ["theirs.onnx", "--out", "mine.onnx", "--border", "1", "2", "3"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["adopt", *arguments])
    assert caught.value.code == 2


def test_predict_evaluate_and_benchmark_take_it(
    adopted: Path, small_drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(adopted.with_name("street.png")), "--model", str(adopted), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "street_depth.png").is_file()
    config = tmp_path / "data.yaml"
    config.write_text(yaml.safe_dump({"data": {"validation": [{"path": str(small_drive)}], "workers": 0}}))
    result = tmp_path / "result.json"
    evaluate = ["evaluate", "--model", str(adopted), "--data", str(config), "--protocol", "standard"]
    assert main([*evaluate, "--json", str(result)]) == 0
    report = json.loads(result.read_text())
    assert report["model"] == "mine" and report["frames"] == 5
    assert report["uncertainty"]["ause"] >= 0.0
    assert "needs no focal factor" in next(iter(report["focal_scaling"]))
    figures = tmp_path / "benchmark.json"
    sizes = ["--size", "60x40", "--frames", "3", "--threads", "1"]
    assert main(["benchmark", "--model", str(adopted), *sizes, "--json", str(figures)]) == 0
    (case,) = json.loads(figures.read_text())["cases"]
    assert list(case["floor"]["stages_ms"]) == ["preprocess", "network", "postprocess"]
    assert list(case["separated_ms"]) == ["preprocess", "network", "postprocess", "between operators"]
    assert case["separated_ms"]["network"]["p50"] > 0.0
    capsys.readouterr()
