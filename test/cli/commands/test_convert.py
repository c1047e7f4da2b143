"""``space_clip convert``: a reference checkpoint in, our file out, proven the same."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from space_clip_ros.cli.commands import convert
from space_clip_ros.errors import ConfigError, ModelError
from space_clip_ros.model import load_checkpoint, save_checkpoint
from space_clip_ros.model.checkpoint import read_metadata


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    convert.add_parser(parser.add_subparsers())
    return convert.run(parser.parse_args(["convert", *map(str, arguments)]))


@pytest.fixture
def checkpoint(reference_dir: Path) -> Path:
    return reference_dir / "clip_tiny_checkpoint.pt"


@pytest.fixture
def encoder(reference_dir: Path, tmp_path: Path) -> Path:
    file = tmp_path / "encoder.json"
    file.write_text(json.dumps(json.loads((reference_dir / "configs.json").read_text())["clip_tiny"]["encoder"]))
    return file


def test_the_result_gives_the_references_depth(
    checkpoint: Path, encoder: Path, reference_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ours.safetensors"
    assert run(checkpoint, "--out", out, "--encoder", encoder) == 0
    output = capsys.readouterr().out
    assert output == f"{out}: 876,552 parameters; read back, 373 tensors and one output are the same\n"
    with np.load(reference_dir / "clip_tiny_io.npz") as numbers, torch.inference_mode():
        depth = load_checkpoint(out)(torch.from_numpy(numbers["input"]), output_size=(88, 176)).depth
        np.testing.assert_allclose(depth.numpy(), numbers["depth"], rtol=1e-4)


def test_a_checkpoint_with_other_states(reference_dir: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(json.loads((reference_dir / "configs.json").read_text())["switch_indices"]))
    out = tmp_path / "ours.safetensors"
    checkpoint = reference_dir / "switch_indices_checkpoint.pt"
    assert run(checkpoint, "--out", out, "--encoder", settings, "--decoder", settings) == 0
    with np.load(reference_dir / "switch_indices_io.npz") as numbers, torch.inference_mode():
        depth = load_checkpoint(out)(torch.from_numpy(numbers["input"]), output_size=(88, 176)).depth
        np.testing.assert_allclose(depth.numpy(), numbers["depth"], rtol=1e-4)


def test_the_source_is_recorded_in_the_file(checkpoint: Path, encoder: Path, tmp_path: Path) -> None:
    run(checkpoint, "--out", tmp_path / "ours.safetensors", "--encoder", encoder)
    metadata = read_metadata(tmp_path / "ours.safetensors")
    assert metadata["source"] == "clip_tiny_checkpoint.pt"
    assert metadata["source_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert metadata["weights"] == "model"


def test_settings_may_be_under_the_key_encoder(checkpoint: Path, encoder: Path, tmp_path: Path) -> None:
    encoder.write_text(json.dumps({"encoder": json.loads(encoder.read_text()), "decoder": {}}))
    assert run(checkpoint, "--out", tmp_path / "ours.safetensors", "--encoder", encoder) == 0


def test_without_settings_the_small_encoder_does_not_fit(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give the settings it was made with as encoder"):
        run(checkpoint, "--out", tmp_path / "ours.safetensors")
    assert not list(tmp_path.iterdir())


def test_averaged_weights(checkpoint: Path, encoder: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    averaged = {**content["model"], "depth_prediction_head.3.bias": torch.tensor([7.0])}
    torch.save({"model": content["model"], "ema": averaged}, tmp_path / "both.pt")
    out = tmp_path / "ours.safetensors"
    run(tmp_path / "both.pt", "--out", out, "--encoder", encoder, "--weights", "ema")
    assert load_checkpoint(out).depth_head.depth.bias.item() == 7.0
    assert read_metadata(out)["weights"] == "ema"


def test_depth_is_scaled(checkpoint: Path, encoder: Path, tmp_path: Path) -> None:
    plain, scaled = tmp_path / "plain.safetensors", tmp_path / "scaled.safetensors"
    run(checkpoint, "--out", plain, "--encoder", encoder)
    run(plain, "--out", scaled, "--depth-scale", "1.25")
    picture = torch.from_numpy(np.random.default_rng(0).random((1, 3, 32, 64), np.float32))
    with torch.inference_mode():
        was, now = (load_checkpoint(file)(picture, output_size=(32, 64)).depth for file in (plain, scaled))
    assert was.max() > 0
    torch.testing.assert_close(now, 1.25 * was)
    assert read_metadata(scaled)["depth_scale"] == "1.25" and "depth_scale" not in read_metadata(plain)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("{", "is not valid JSON"),
        ("[1]", "must hold a mapping"),
        ('{"encoder": 3}', "not a int"),
    ],
)
def test_unusable_settings(checkpoint: Path, tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "settings.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=rf"settings\.json: .*{message}"):
        run(checkpoint, "--out", tmp_path / "ours.safetensors", "--encoder", file)


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = tmp_path / "same.safetensors"
    for arguments, message in (
        (("best.pt", "--out", "ours.pt"), "must end in .safetensors"),
        ((same, "--out", same), "is the file to read"),
        (("best.pt",), "--out"),
        (("best.pt", "--out", same, "--depth-scale", "0"), "--depth-scale: must be at least 0.001, got '0'"),
        (("best.pt", "--out", same, "--depth-scale", "nan"), "--depth-scale: must be a number, not NaN, got 'nan'"),
    ):
        with pytest.raises(SystemExit) as caught:
            run(*arguments)
        assert caught.value.code == 2
        assert message in capsys.readouterr().err


def test_a_file_that_differs_when_read_back_is_an_error(
    checkpoint: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses bits between writing and reading."""
    import space_clip_ros.model.tensor_files as files

    read = files.load_file

    def failing(path: Path) -> dict[str, torch.Tensor]:
        tensors = read(path)
        tensors["depth_head.depth.bias"] += 1.0
        return tensors

    monkeypatch.setattr(files, "load_file", failing)
    with pytest.raises(ModelError, match=r"tensors differ from those written: depth_head\.depth\.bias"):
        run(checkpoint, "--out", tmp_path / "ours.safetensors", "--encoder", encoder)


def test_half_the_size_reads_as_float32_and_trains_further(checkpoint: Path, encoder: Path, tmp_path: Path) -> None:
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    run(checkpoint, "--out", full, "--encoder", encoder)
    assert run(full, "--out", half, "--half") == 0
    assert half.stat().st_size < 0.6 * full.stat().st_size
    before, after = load_checkpoint(full), load_checkpoint(half)
    for (name, ours), theirs in zip(after.state_dict().items(), before.state_dict().values(), strict=True):
        assert ours.dtype == theirs.dtype, name
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-7)
    assert after.depth_head.depth.weight.requires_grad


def test_a_weight_that_half_precision_cannot_hold_is_refused(checkpoint: Path, encoder: Path, tmp_path: Path) -> None:
    model = load_checkpoint(checkpoint, json.loads(encoder.read_text()))
    with torch.no_grad():
        model.depth_head.depth.weight[0, 0, 0, 0] = 1e6
    save_checkpoint(model, tmp_path / "large.safetensors")
    with pytest.raises(ModelError, match=r"depth_head\.depth\.weight: has weights beyond half precision's range"):
        run(tmp_path / "large.safetensors", "--out", tmp_path / "half.safetensors", "--half")
