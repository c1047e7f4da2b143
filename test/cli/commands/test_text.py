"""``space_clip text`` and ``space_clip export --text``: words in, files of vectors out."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from space_clip_ros.cli.commands import export, text
from space_clip_ros.errors import InputError
from space_clip_ros.inference.onnx_sessions import OnnxSessions
from space_clip_ros.language import load_clip
from space_clip_ros.language.queries import QuerySet
from space_clip_ros.model import SpaceClip, build, save_checkpoint
from space_clip_ros.model_config import DecoderConfig, EncoderConfig, LanguageConfig, ModelConfig


def run(command: Any, *arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    status: int = command.run(parser.parse_args([command.__name__.rpartition(".")[2], *map(str, arguments)]))
    return status


@pytest.fixture
def clip_options(shared_dir: Path) -> list[object]:
    folder = shared_dir / "reference"
    file, settings = folder / "language_clip_tiny_open_clip.pt", folder / "language_clip_tiny.json"
    return ["--clip", file, "--clip-settings", settings]


def test_words_of_clip(clip_options: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "queries.safetensors"
    assert (
        run(text, "traffic cone", "Tür", "--background", "sky", "--templates", "none", "--out", out, *clip_options) == 0
    )
    clip = load_clip(str(clip_options[1]), str(clip_options[3]))
    queries = QuerySet.read(out)
    assert (queries.names, queries.background, queries.tower) == (("traffic cone", "Tür"), ("sky",), clip.tower)
    np.testing.assert_allclose(queries.vectors, clip.text(["traffic cone", "Tür", "sky"]).numpy(), atol=1e-6)
    written = f"{out}: traffic cone, Tür, against 1 in the background"
    message = f"{written}; 48 numbers each, for tower {clip.tower[:12]}\n"
    assert capsys.readouterr().out == message


def test_the_way_of_a_depth_checkpoint_without_language(
    clip_options: list[object],
    tiny_model: Callable[..., SpaceClip],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A checkpoint, its CLIP's projection added at export, a text tower, and queries that fit both."""
    config = ModelConfig(
        encoder=EncoderConfig(width=64, heads=4, image_size=64),
        decoder=DecoderConfig(channels=(8, 8, 8, 8), film_hidden=8),
        input_size=(64, 64),
    )
    model = build(config, str(clip_options[1]))
    model.depth_head.depth.bias.data.fill_(10.0)
    save_checkpoint(model, tmp_path / "depth.safetensors")
    tower = tmp_path / "text.onnx"
    assert run(export, clip_options[1], "--text", "--out", tower, *clip_options[2:], "--templates", "none") == 0
    assert "48 numbers a vector, 1 templates" in capsys.readouterr().out
    queries = tmp_path / "q.safetensors"
    assert run(text, "car", "road", "--clip", tower, "--out", queries) == 0
    size = ("--height", 40, "--width", 60)
    arguments = (tmp_path / "depth.safetensors", *size, "--clip", clip_options[1], "--queries", queries)
    assert run(export, *arguments, "--out", tmp_path / "both.onnx", "--outputs", "depth", "dense") == 0
    assert "language features: cosine with PyTorch's 1.0000" in capsys.readouterr().out
    assert OnnxSessions(tmp_path / "both.onnx").metadata.outputs == ("depth", "dense")
    assert run(text, "car", "road", "--clip", tower, "--model", tmp_path / "both.onnx", "--out", queries) == 0
    model = tiny_model(language=LanguageConfig(outputs=("dense",), embed_dim=48))
    save_checkpoint(model, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"CLIP .*text\.onnx: has tower \w{12}, and model .*other\.safetensors has"):
        run(text, "car", "road", "--clip", tower, "--model", tmp_path / "other.safetensors", "--out", queries)


def test_a_closed_list_of_names(
    tiny_model: Callable[..., SpaceClip], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    language = LanguageConfig(outputs=("dense",), embed_dim=3, vocabulary=("road", "car", "sky"))
    save_checkpoint(tiny_model(language=language), tmp_path / "closed.safetensors")
    save_checkpoint(tiny_model(), tmp_path / "plain.safetensors")
    out = tmp_path / "queries.safetensors"
    assert run(text, "car", "--model", tmp_path / "closed.safetensors", "--out", out) == 0
    assert "car, against 2 in the background; 3 numbers each, for a closed list of names" in capsys.readouterr().out
    assert QuerySet.read(out).background == ("road", "sky")
    with pytest.raises(InputError, match="'dog' not known"):
        run(text, "dog", "--model", tmp_path / "closed.safetensors", "--out", out)
    with pytest.raises(InputError, match="gives no features of patches"):
        # Before a CLIP is looked for.
        run(text, "car", "--model", tmp_path / "plain.safetensors", "--out", out, "--clip", "missing.pt")
    unused = ("--background", "sky", "--clip", "missing.onnx")
    with pytest.raises(SystemExit):
        run(text, "car", "--model", tmp_path / "closed.safetensors", "--out", out, *unused)
    assert re.search(r"--background, --clip: .*closed\.safetensors has a closed list of names", capsys.readouterr().err)


def test_one_name_without_background_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'car' alone would be found everywhere; give --background what else"):
        run(text, "car", "--out", tmp_path / "queries.safetensors", "--clip", "missing.onnx")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "queries.pt"], "--out queries.pt: must end in .safetensors"),
        (["--out", "x.safetensors", "--model", "./x.safetensors"], "--out x.safetensors: is the file to read"),
        (["--out", "x.safetensors", "--clip", "x.safetensors"], "--out x.safetensors: is the file to read"),
        (
            ["--out", "x.safetensors", "--clip", "t.onnx", "--templates", "none", "--clip-settings", "s.json"],
            "--templates, --clip-settings: t.onnx has its own",
        ),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(text, "car", *arguments)
    assert message in capsys.readouterr().err
