"""``space_clip engine``: what it prints, and what it rejects; TensorRT is a fake."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from space_clip_ros.cli.commands import engine
from space_clip_ros.cli.main import main
from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.export.onnx import export
from space_clip_ros.model import SpaceClip


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., SpaceClip]) -> Path:
    return export(tiny_model(), tmp_path_factory.mktemp("graph") / "tiny.onnx").path


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    engine.add_parser(parser.add_subparsers())
    return engine.run(parser.parse_args(["engine", *map(str, arguments)]))


def test_built_and_then_found(
    graph: Path, tmp_path: Path, fake_gpu: Any, kitti_drive_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8))
    size = ["--height", 40, "--width", 60]
    assert run(graph, *size, "--images", tmp_path / "a.png", "--drive", kitti_drive_dir) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[:3] == [
        "building for Fake Orin (compute capability 8.7) with TensorRT 10.3.0",
        "TensorRT: Building Engine",
        "comparing with ONNX Runtime",
    ]
    assert output[3].endswith(".engine: 60x40 pixels, tf32, built")
    assert output[4].startswith("difference from ONNX Runtime: mean ") and output[4].endswith("on 12 pictures")
    assert run(graph, *size) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(": 60x40 pixels, tf32, was there already")
    assert run(graph, *size, "--precision", "fp32") == 0
    assert capsys.readouterr().out.splitlines()[-2].endswith(": 60x40 pixels, fp32, built")


def test_a_name_takes_its_fp16_file(fake_gpu: Any, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--height", 40, "--width", 60]
    assert run("road_tiny", *size) == 0
    assert run("road_tiny", *size, "--precision", "fp16") == 0
    assert run("road_tiny", *size, "--precision", "fp32") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if ": 60x40 pixels, " in line]
    assert [line.partition(" pixels, ")[2] for line in lines] == [
        "fp16, built",
        "fp16, was there already",
        "fp32, built",
    ]


def test_refused_is_one_line_and_an_exit_status(graph: Path, fake_gpu: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake_gpu.distortion = 2.0
    assert main(["engine", str(graph), "--height", "40", "--width", "60"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"space_clip engine: {graph}: the engine is refused: it differs from ONNX Runtime by mean 1 "
    )


@pytest.mark.parametrize("arguments", [["--height", 40], ["--width", 40], ["--height", 0, "--width", 40]])
def test_wrong_usage(graph: Path, capsys: pytest.CaptureFixture[str], arguments: list[object]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(graph, *arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "give both --height and --width, or neither" in error or "at least 1, got '0'" in error


def test_without_tensorrt(graph: Path, fake_gpu: Any, uninstall: Callable[..., None]) -> None:
    uninstall("tensorrt")
    with pytest.raises(BackendError, match=r"'tensorrt': is not installed; it comes with JetPack, elsewhere pip"):
        run(graph)


def test_not_a_graph(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing\.onnx: no such model file"):
        run(tmp_path / "missing.onnx")
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(InputError, match=r"a\.safetensors: is no \.onnx file; .*'space_clip export'"):
        run(tmp_path / "a.safetensors")


def test_a_robot_needs_no_pytorch() -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'safetensors', 'open_clip', 'rclpy']))\n"
        "import types; sys.modules['tensorrt'] = trt = types.ModuleType('tensorrt'); trt.__version__ = '10.3.0'\n"
        "import space_clip_ros.export.engine"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
