from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError, DataError, ModelError
from space_clip_ros.model import build
from space_clip_ros.training.run_folder import RunFolder
from space_clip_ros.training.trainer import train

_HOLDS_LOCK = """
import fcntl, sys
with open(sys.argv[1], "wb") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture()
def folder(tiny, tmp_path):
    opened = RunFolder(tmp_path / "run")
    opened.start(tiny())
    yield opened
    opened.close()


@pytest.fixture()
def locked(tmp_path):
    """A folder in which another process trains, as far as its lock says."""
    path = tmp_path / "run"
    path.mkdir()
    command = [sys.executable, "-c", _HOLDS_LOCK, str(path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        yield path


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
    with pytest.raises(ModelError, match=r"cannot be written .*No space left.*check the folder and the space left"):
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


def test_a_second_state_of_a_step_replaces_the_first(tiny, folder):
    model = build(tiny().model)
    folder.save(1, model, {"evaluated": False})
    weights = folder.path / "checkpoints" / "000000001" / "model.safetensors"
    before = weights.stat().st_ino
    folder.save(1, model, {"evaluated": True})
    assert folder.load()[1] == {"evaluated": True} and weights.stat().st_ino == before


def test_a_broken_checkpoint_of_the_same_step_is_replaced(tiny, folder):
    model = build(tiny().model)
    folder.save(1, model, {"step": 1})
    shutil.copytree(folder.path / "checkpoints" / "000000001", folder.path / "checkpoints" / "000000002")
    (folder.path / "checkpoints" / "000000002" / "training.pt").unlink()
    again = RunFolder(folder.path)
    assert again.load()[1] == {"step": 1}
    again.save(2, model, {"step": 2})
    assert again.load()[1] == {"step": 2}


@pytest.mark.parametrize("left", ["best.safetensors", "checkpoints/000000003/training.pt", "last/training.pt"])
def test_weights_are_never_written_over(tiny, tmp_path, left):
    file = tmp_path / "run" / left
    file.parent.mkdir(parents=True)
    file.touch()
    for over in (False, True):
        with pytest.raises(ConfigError, match=r"holds a run already; give --resume to continue it, or another"):
            RunFolder(tmp_path / "run").start(tiny(), over)


def test_a_run_without_a_checkpoint_is_only_started_over_when_asked(tiny, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / "steps.csv").touch()
    with pytest.raises(ConfigError, match="holds a run without a checkpoint; give --resume-or-start to start it over"):
        folder.check_new()
    with pytest.raises(ConfigError, match="holds no checkpoint to resume from; give --resume-or-start"):
        folder.check_same(tiny())
    folder.check_new(over=True)


def test_two_processes_never_train_in_one_folder(tiny, listener, locked):
    with pytest.raises(ConfigError, match="another process is training here; wait for its end, or give another run"):
        train(tiny(), listener)
    assert sorted(path.name for path in locked.iterdir()) == [".lock", "checkpoints"]


def test_a_run_that_another_process_trains_is_not_resumed(tiny, listener, locked):
    folder = RunFolder(locked)
    (locked / "config.yaml").write_text(settings.dump(tiny()))
    folder.save(1, build(tiny().model), {"step": 1})
    with pytest.raises(ConfigError, match="another process is training here"):
        train(tiny(), listener, resume=True)


def test_a_lock_that_cannot_be_written(tmp_path):
    (tmp_path / "run" / ".lock").mkdir(parents=True)
    with pytest.raises(DataError, match=r"\.lock: cannot be written \(Is a directory\)"):
        RunFolder(tmp_path / "run").lock()


@pytest.mark.parametrize("kept", ["link as a folder", "no link", "only the folder"])
def test_a_copy_without_links_is_resumed(tiny, folder, tmp_path, kept):
    model = build(tiny().model)
    for step in (1, 2):
        folder.save(step, model, {"step": step})
    copy = RunFolder(shutil.copytree(folder.path, tmp_path / "copy"))
    if kept == "no link":
        shutil.rmtree(copy.path / "last")
    elif kept == "only the folder":
        shutil.rmtree(copy.path / "checkpoints")
    copy.check_same(tiny())
    assert copy.load()[1] == {"step": 2}
    copy.save(3, model, {"step": 3})
    assert (copy.path / "last").resolve().name == "000000003" and copy.load()[1] == {"step": 3}


def test_a_damaged_checkpoint_names_the_older_one(tiny, folder):
    model = build(tiny().model)
    for step in (1, 2):
        folder.save(step, model, {"step": step})
    newest = folder.path / "checkpoints" / "000000002"
    (newest / "training.pt").write_bytes(b"half")
    with pytest.raises(ModelError, match=r"training\.pt: .*; remove the folder .*002 to resume from .*001, which is"):
        folder.load()
    shutil.rmtree(newest)
    assert folder.load()[1] == {"step": 1}


def test_settings_that_change_no_result_may_change(tiny, folder):
    folder.save(1, build(tiny().model), {"step": 1})
    harmless = {"data__workers": 3, "data__cache": True, "validation__batch_size": 2}
    folder.check_same(tiny(**harmless, data__scan=False))
    with pytest.raises(ConfigError, match=r"differ: data\.scan, data\.skip_broken"):  # decides which frames there are
        folder.check_same(tiny(data__scan=False, data__skip_broken=True))


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
