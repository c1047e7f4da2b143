from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch

from space_clip_ros.errors import ModelError
from space_clip_ros.model import build
from space_clip_ros.training.run_folder import RunFolder
from space_clip_ros.training.trainer import train


@pytest.fixture()
def folder(tiny, tmp_path):
    opened = RunFolder(tmp_path / "run")
    opened.start(tiny())
    return opened


def test_what_is_saved_is_loaded(tiny, folder):
    model = build(tiny().model)
    folder.save(7, model, {"step": 7, "average": {"a": torch.ones(3)}})
    loaded, state = folder.load()
    assert state["step"] == 7
    assert torch.equal(state["average"]["a"], torch.ones(3))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name


def test_the_newest_two_are_kept_and_leftovers_removed(tiny, folder):
    model = build(tiny().model)
    (folder.path / "checkpoints" / ".000000002.999").mkdir()
    for step in (1, 2, 3, 3):
        folder.save(step, model, {"step": step})
    assert sorted(path.name for path in (folder.path / "checkpoints").iterdir()) == ["000000002", "000000003"]
    assert folder.load()[1]["step"] == 3


def test_a_save_that_fails_leaves_the_old_one(tiny, folder, monkeypatch):
    model = build(tiny().model)
    folder.save(1, model, {"step": 1})

    save = torch.save

    def to_full_disk(state, _):
        with Path("/dev/full").open("wb") as file:
            save(state, file)

    monkeypatch.setattr(torch, "save", to_full_disk)
    with pytest.raises(ModelError, match=r"cannot be written .*No space left.*check the space left"):
        folder.save(2, model, {"step": 2})
    monkeypatch.undo()
    assert folder.load()[1]["step"] == 1


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_whoever_the_umask_allows_may_read_a_run(tiny, listener, tmp_path, mask):
    before = os.umask(mask)
    try:
        train(tiny(optimizer__epochs=1), listener)
    finally:
        os.umask(before)
    paths = sorted(path for path in (tmp_path / "run").rglob("*") if not path.is_symlink())
    names = {"model.safetensors", "training.pt", "config.yaml", "steps.csv", "best.safetensors"}
    assert names < {path.name for path in paths}
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask, path


def test_a_damaged_state_is_named(tiny, folder):
    folder.save(1, build(tiny().model), {"step": 1})
    (folder.path / "last" / "training.pt").write_bytes(b"half")
    with pytest.raises(ModelError, match=r"training\.pt: "):
        folder.load()


def test_nothing_in_a_state_is_executed(tiny, folder):
    folder.save(1, build(tiny().model), {"step": 1})
    torch.save({"step": print}, folder.path / "last" / "training.pt")
    with pytest.raises(ModelError, match=r"training\.pt: "):
        folder.load()
