"""Our own checkpoints: written, read back, and refused if incomplete or damaged."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from space_clip_ros.errors import ModelError
from space_clip_ros.model import SpaceClip, load_checkpoint, save_checkpoint
from space_clip_ros.model.checkpoint import read_metadata, verify_checkpoint

State = dict[str, torch.Tensor]


@pytest.fixture
def saved(model: SpaceClip, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(model, path, {"trained_on": "noise"})
    return path


def header(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def rewrite(path: Path, change: Callable[[State], None], metadata: dict[str, str] | None = None) -> None:
    tensors, old = load_file(path), header(path)
    change(tensors)
    save_file(tensors, path, metadata=old if metadata is None else metadata)


def same_tensors(first: SpaceClip, second: SpaceClip) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_is_saved_is_what_is_loaded(model: SpaceClip, saved: Path, images: torch.Tensor) -> None:
    loaded = load_checkpoint(saved)
    assert loaded.config == model.config
    assert not loaded.training
    assert same_tensors(loaded, model)
    assert torch.equal(loaded(images).depth, model(images).depth)


def test_training_state_of_batch_norm_is_kept(model: SpaceClip, tmp_path: Path, images: torch.Tensor) -> None:
    model.train()
    model(images)
    save_checkpoint(model, tmp_path / "model.safetensors")
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    assert int(loaded.depth_head.refine.norm.num_batches_tracked) == 1
    assert same_tensors(loaded, model)


def test_verifying_compares_tensors_and_output(model: SpaceClip, saved: Path) -> None:
    assert verify_checkpoint(model, saved) == len(model.state_dict())
    model.train()(torch.zeros(2, 3, 32, 32))
    with pytest.raises(ModelError, match=r"tensors differ from those written: decoder\."):
        verify_checkpoint(model, saved)


def test_verifying_notices_another_activation(model: SpaceClip, saved: Path) -> None:
    """Settings that leave the tensors unchanged are found by comparing the output."""
    changed = json.loads(header(saved)["space_clip.config"])
    changed["encoder"]["activation"] = "gelu"
    rewrite(saved, lambda tensors: None, metadata={**header(saved), "space_clip.config": json.dumps(changed)})
    with pytest.raises(ModelError, match="its depth differs"):
        verify_checkpoint(model, saved)


def test_metadata_is_kept(saved: Path) -> None:
    metadata = read_metadata(saved)
    assert metadata["trained_on"] == "noise"
    assert metadata["space_clip.format_version"] == "1"
    assert json.loads(metadata["space_clip.config"])["name"] == "tiny"


def test_metadata_may_not_replace_the_formats_own(model: SpaceClip, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"space_clip\.config are the format's own"):
        save_checkpoint(model, tmp_path / "model.safetensors", {"space_clip.config": "{}"})


def test_the_file_is_found_by_content_not_by_name(model: SpaceClip, saved: Path) -> None:
    renamed = saved.rename(saved.with_suffix(".pt"))
    assert same_tensors(load_checkpoint(renamed), model)


def test_encoder_settings_may_be_repeated_but_not_contradicted(model: SpaceClip, saved: Path) -> None:
    load_checkpoint(saved, encoder={"width": 32, "kind": model.config.encoder.kind})
    with pytest.raises(ModelError, match="disagree with those given: width is 32, not 64"):
        load_checkpoint(saved, encoder={"width": 64})


def test_missing_extra_and_misshapen_tensors_are_all_named(saved: Path) -> None:
    def change(tensors: State) -> None:
        del tensors["depth_head.depth.bias"]
        tensors["surprise"] = torch.zeros(1)
        tensors["depth_head.depth.weight"] = torch.zeros(1, 1, 3, 3)

    rewrite(saved, change)
    with pytest.raises(ModelError) as caught:
        load_checkpoint(saved)
    said = str(caught.value)
    assert "missing: depth_head.depth.bias" in said
    assert "not expected: surprise" in said
    assert "of another shape: depth_head.depth.weight (is [1, 1, 3, 3], must be [1, 2, 3, 3])" in said


def test_safetensors_without_configuration(saved: Path) -> None:
    rewrite(saved, lambda tensors: None, metadata={"format": "pt"})
    for read in (load_checkpoint, read_metadata):
        with pytest.raises(ModelError, match=r"carries no space_clip\.config"):
            read(saved)


@pytest.mark.parametrize("stored", ["not json", '{"encoder": {"width": -1}}', '{"colour": "red"}'])
def test_unusable_configuration(saved: Path, stored: str) -> None:
    rewrite(saved, lambda tensors: None, metadata={**header(saved), "space_clip.config": stored})
    with pytest.raises(ModelError, match="configuration cannot be used"):
        load_checkpoint(saved)


def test_another_format_version(saved: Path) -> None:
    rewrite(saved, lambda tensors: None, metadata={**header(saved), "space_clip.format_version": "2"})
    with pytest.raises(ModelError, match="format version 2, this package reads 1"):
        load_checkpoint(saved)


@pytest.mark.parametrize("size", [0, 5, 1000, -100])
def test_truncated_file(saved: Path, size: int) -> None:
    saved.write_bytes(saved.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"model\.safetensors: is damaged"):
        load_checkpoint(saved)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.safetensors: cannot be read \(No such file"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(tmp_path)


def test_a_failed_write_leaves_what_was_there(model: SpaceClip, tmp_path: Path) -> None:
    taken = tmp_path / "taken.safetensors"
    taken.mkdir()
    for path in (taken, tmp_path / "nowhere" / "model.safetensors"):
        with pytest.raises(ModelError, match="cannot be written"):
            save_checkpoint(model, path)
    assert list(tmp_path.rglob("*")) == [taken]


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_whoever_the_umask_allows_may_read_a_checkpoint(model: SpaceClip, tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_checkpoint(model, tmp_path / "model.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o666 & ~mask


def test_metadata_of_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "reference.pt"
    torch.save({"model": {}}, path)
    with pytest.raises(ModelError, match="is not a safetensors file; 'space_clip convert' makes one"):
        read_metadata(path)
