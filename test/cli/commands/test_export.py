"""``space_clip export``: a checkpoint file in, an ONNX file and its proof out."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros.cli.commands import export
from space_clip_ros.errors import DataError, ModelError
from space_clip_ros.export.static_graph import static_graph
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.model import SpaceClip, save_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., SpaceClip]) -> Path:
    file = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_checkpoint(tiny_model(), file)
    return file


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    export.add_parser(parser.add_subparsers())
    return export.run(parser.parse_args(["export", *map(str, arguments)]))


def test_a_fixed_size_with_a_real_picture(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8))
    out = tmp_path / "tiny.onnx"
    assert run(checkpoint, "--out", out, "--height", 40, "--width", 60, "--images", tmp_path / "a.png") == 0
    output = capsys.readouterr().out
    assert f"{out}: tiny, 60 x 40 pixels, batch 1, fp32, " in output
    assert "largest difference from PyTorch on 4 images: " in output
    metadata = OnnxSessions(out).metadata
    assert metadata.size == (40, 60)
    assert metadata.source_sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()


def test_any_size(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(checkpoint, "--out", tmp_path / "tiny.onnx") == 0
    assert "tiny, any size, any batch, fp32" in capsys.readouterr().out
    assert run(checkpoint, "--out", tmp_path / "one.onnx", "--batch", 2) == 0
    assert "tiny, any size, batch 2, fp32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--height", 40], "give both --height and --width"),
        (["--width", 40], "give both --height and --width"),
        (["--height", 0, "--width", 4], "must be a whole number of at least 1, got '0'"),
        (["--batch", "two"], "must be a whole number of at least 1, got 'two'"),
        (["--precision", "fp8"], "invalid choice: 'fp8'"),
        (["--precision", "int8"], "--precision int8 needs --drive"),
        (["--symmetric"], "--symmetric: no effect without --precision int8"),
        (["--out", "a.pt"], "must end in .onnx"),
        (["--text", "--precision", "fp16", "--images", "none.png"], "--precision, --images: no effect with --text"),
        (["--templates", "none"], "--templates: no effect without --text"),
    ],
)
def test_wrong_usage(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[object], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(checkpoint, "--out", tmp_path / "a.onnx", *arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_int8_on_a_drive(
    checkpoint: Path, tmp_path: Path, kitti_drive_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tiny.onnx"
    arguments = ("--height", 40, "--width", 60, "--precision", "int8", "--drive", kitti_drive_dir)
    assert run(checkpoint, "--out", out, *arguments) == 0
    output = capsys.readouterr().out
    assert f"{out}: tiny, 60 x 40 pixels, batch 1, int8, " in output
    assert "largest difference from PyTorch on 8 images: " in output
    assert "abs_rel on held-out frames " in output
    assert OnnxSessions(out).metadata.drive == f"{kitti_drive_dir.name}, 16 + 8 frames"


def test_symmetric_int8_for_an_engine(checkpoint: Path, tmp_path: Path, kitti_drive_dir: Path) -> None:
    out, size = tmp_path / "tiny.onnx", (40, 60)
    arguments = ("--height", 40, "--width", 60, "--precision", "int8", "--symmetric", "--drive", kitti_drive_dir)
    assert run(checkpoint, "--out", out, *arguments) == 0
    assert static_graph(out, OnnxSessions(out).metadata, size)


def test_fp16_on_a_picture(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8))
    arguments = ("--height", 40, "--width", 60, "--precision", "fp16", "--images", tmp_path / "a.png")
    assert run(checkpoint, "--out", tmp_path / "tiny.onnx", *arguments) == 0
    output = capsys.readouterr().out
    assert "pixels, batch 1, fp16, " in output and " of 65504" in output and "abs_rel" not in output


def test_mistakes_are_found_before_the_checkpoint_is_read(tmp_path: Path) -> None:
    for arguments, error, message in (
        (
            ["--out", tmp_path / "none" / "a.onnx"],
            DataError,
            r"a\.onnx: cannot be written \(there is no folder .*none\)",
        ),
        (["--out", tmp_path / "a.onnx", "--queries", tmp_path / "q.safetensors"], DataError, r"q\.safetensors: cannot"),
        (["--out", tmp_path / "a.onnx", "--drive", tmp_path / "drive"], DataError, "drive"),
        (["--out", tmp_path / "a.onnx"], ModelError, r"missing\.pt"),
    ):
        with pytest.raises(error, match=message):
            run(tmp_path / "missing.pt", *arguments)
    assert not list(tmp_path.iterdir())


def test_missing_files(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.png"):
        run(checkpoint, "--out", tmp_path / "a.onnx", "--images", tmp_path / "missing.png")
