from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError, SpaceClipError
from space_clip_ros.model import load_checkpoint
from space_clip_ros.model.checkpoint import read_metadata
from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training.trainer import train
from space_clip_ros.training_config import TrainingConfig

# Trains as sys.argv[1] says, and sends itself a signal after a step, before that step is saved.
_RUN = """
import os, sys
from contextlib import contextmanager
from space_clip_ros import settings
from space_clip_ros.training.trainer import train
from space_clip_ros.training_config import TrainingConfig

last_step, number = int(sys.argv[2]), int(sys.argv[3])

class Console:
    steps = 0
    def say(self, text): pass
    @contextmanager
    def bar(self, total, label): yield self
    def advance(self, steps=1, note=""):
        if note:  # only training steps have one
            self.steps += 1
            if self.steps == last_step:
                os.kill(os.getpid(), number)

outcome = train(settings.load(TrainingConfig, sys.argv[1]), Console())
print("outcome", outcome.step, outcome.finished)
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def losses(run: Path) -> list[tuple[str, str, str]]:
    return [(row["step"], row["total"], row["grad_norm"]) for row in rows(run / "steps.csv")]


def train_until_signal(config: TrainingConfig, folder: Path, step: int, number: int) -> subprocess.CompletedProcess:
    path = folder / "asked.yaml"
    path.write_text(settings.dump(config))
    return subprocess.run(
        [sys.executable, "-c", _RUN, str(path), str(step), str(int(number))],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def test_a_run_learns_and_leaves_everything_behind(tiny, listener, tmp_path):
    outcome = train(tiny(optimizer__epochs=4), listener)
    assert outcome.finished and outcome.step == 12
    steps = rows(tmp_path / "run" / "steps.csv")
    assert [int(row["step"]) for row in steps] == list(range(1, 13))
    assert float(steps[-1]["total"]) < float(steps[0]["total"])
    evaluations = rows(tmp_path / "run" / "evaluations.csv")
    assert [(row["epoch"], row["weights"]) for row in evaluations] == [
        (str(epoch), weights) for epoch in range(1, 5) for weights in ("raw", "ema")
    ]
    assert outcome.best_score == pytest.approx(min(float(row["abs_rel"]) for row in evaluations))
    assert read_metadata(outcome.best)["weights"] in ("raw", "ema")
    assert load_checkpoint(outcome.best).config == tiny().model
    assert len(list((tmp_path / "run" / "pictures").iterdir())) == 4
    assert settings.load(type(tiny()), tmp_path / "run" / "config.yaml") == tiny(optimizer__epochs=4)


def test_the_number_of_reading_processes_changes_nothing(tiny, listener, tmp_path):
    for workers in (0, 1, 3):
        train(tiny(data__workers=workers, run__dir=str(tmp_path / str(workers)), optimizer__epochs=1), listener)
    assert losses(tmp_path / "0") == losses(tmp_path / "1") == losses(tmp_path / "3")


def test_a_killed_run_resumes_as_if_nothing_had_been(tiny, listener, tmp_path):
    train(tiny(run__dir=str(tmp_path / "unbroken"), optimizer__epochs=3), listener)
    config = tiny(run__dir=str(tmp_path / "broken"), optimizer__epochs=3)
    killed = train_until_signal(config, tmp_path, 5, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert int((tmp_path / "broken" / "last").resolve().name) == 4
    resumed = train(config, listener, resume=True)
    assert resumed.finished
    assert losses(tmp_path / "broken") == losses(tmp_path / "unbroken")
    assert rows(tmp_path / "broken" / "evaluations.csv") == rows(tmp_path / "unbroken" / "evaluations.csv")
    left, right = (load_checkpoint(tmp_path / run / "last" / "model.safetensors") for run in ("broken", "unbroken"))
    for name, tensor in left.state_dict().items():
        assert torch.equal(tensor, right.state_dict()[name]), name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_the_run(tiny, tmp_path, number):
    ended = train_until_signal(tiny(optimizer__epochs=200), tmp_path, 2, number)
    assert ended.returncode == 0, ended.stderr
    assert "outcome 2 False" in ended.stdout
    assert int((tmp_path / "run" / "last").resolve().name) == 2
    assert [row["step"] for row in rows(tmp_path / "run" / "steps.csv")] == ["1", "2"]


def test_a_stop_during_an_evaluation_saves_and_evaluates_on_resuming(tiny, listener, interrupting, tmp_path):
    """In the first or the last batch of an evaluation: there are two, of 12 frames in three batches each."""
    whole = tmp_path / "unbroken"
    train(tiny(run__dir=str(whole), validation__batch_size=4), listener)
    expected = load_checkpoint(whole / "best.safetensors").state_dict()
    # A stop after the last batch has begun is honoured after it.
    for frame, outcome in ((1, (3, False, 0)), (9, (4, False, 2)), (24, (6, True, 4))):
        broken = tmp_path / f"broken_{frame}"
        config = tiny(run__dir=str(broken), validation__batch_size=4)
        stopped = train(config, interrupting("evaluating", frame))
        assert (stopped.step, stopped.finished, len(rows(broken / "evaluations.csv"))) == outcome
        resumed = train(config, listener, resume=True)
        assert resumed.finished and resumed.step == 6
        assert losses(broken) == losses(whole)
        assert rows(broken / "evaluations.csv") == rows(whole / "evaluations.csv")
        assert read_metadata(broken / "best.safetensors") == read_metadata(whole / "best.safetensors")
        for name, tensor in load_checkpoint(broken / "best.safetensors").state_dict().items():
            assert torch.equal(tensor, expected[name]), name


def test_a_failed_evaluation_costs_no_step(tiny, listener, tmp_path, frames_dir):
    frames = shutil.copytree(frames_dir, tmp_path / "frames")
    whole = (frames / "1.png").read_bytes()
    (frames / "1.png").write_bytes(b"no picture")
    source = {"kind": "kitti_list", "path": str(frames), "file_list": str(frames / "list.txt")}
    config = tiny(data__validation=[source], data__scan=False, optimizer__epochs=1)
    with pytest.raises(SpaceClipError, match=r"1\.png"):
        train(config, listener)
    assert int((tmp_path / "run" / "last").resolve().name) == 3
    (frames / "1.png").write_bytes(whole)
    resumed = train(config, listener, resume=True)
    assert resumed.finished and resumed.best.exists() and len(rows(tmp_path / "run" / "evaluations.csv")) == 2


def test_depth_that_can_never_be_compared_is_said_and_ends_nothing(tiny, listener, tmp_path):
    outcome = train(tiny(model__max_depth=3.0, optimizer__epochs=1), listener)
    assert outcome.finished and outcome.best_score == float("inf") and not outcome.best.exists()
    assert listener.lines[-3:] == [
        "epoch 1: no training frame had depth between model.min_depth and model.max_depth, so nothing was learnt; "
        "check data.train",
        "epoch 1: raw abs_rel nan, ema abs_rel nan, best inf",
        "epoch 1: no abs_rel, as no validation frame could be compared; look at data.validation, model.min_depth, "
        "model.max_depth and optimizer.lr",
    ]
    assert [row["abs_rel"] for row in rows(tmp_path / "run" / "evaluations.csv")] == ["", ""]


def test_an_epoch_without_labels_is_said(tiny, listener, tmp_path):
    """A head of names alone, on frames that show none of its names."""
    finished = train(tiny(optimizer__epochs=1), listener).best
    drive = write_drive(tmp_path, 2, seed=3, scans=False, labels=True, scale=0.15)
    source = {"path": str(drive), "labels": ["a=cycle", "b=truck"], "weight": 2}
    for path in drive.rglob("*.png"):
        if "label" in str(path.parent):
            cv2.imwrite(str(path), np.zeros_like(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
    language = {"outputs": ["dense"], "embed_dim": 2, "vocabulary": ["a", "b"], "logit_scale": 8.0}
    outcome = train(
        tiny(
            model__language=language,
            train_only="language",
            initial=str(finished),
            data__train=[source],
            data__validation=[source],
            optimizer__epochs=1,
            run__dir=str(tmp_path / "named"),
        ),
        listener,
    )
    starts = (
        "epoch 1: no training frame had labels of the vocabulary",
        "epoch 1: no label_error, as no validation frame",
    )
    assert outcome.finished and [line for line in listener.lines if line.startswith(starts[0])]
    assert [line for line in listener.lines if line.startswith(starts[1])]


def test_skipped_steps_are_counted_on_when_a_run_is_resumed(tiny, listener, interrupting, tmp_path, monkeypatch):
    from space_clip_ros.training import step as module

    honest = module.depth_loss
    monkeypatch.setattr(
        module,
        "depth_loss",
        lambda *arguments: {name: value * float("nan") for name, value in honest(*arguments).items()},
    )
    train(tiny(run__log_steps=2), interrupting("training", 1))
    monkeypatch.undo()
    train(tiny(run__log_steps=2), listener, resume=True)
    assert [row["skipped"] for row in rows(tmp_path / "run" / "steps.csv")] == ["1", "1", "1"]


def test_bad_numbers_are_left_out_and_end_the_run_when_there_are_too_many(tiny, listener, tmp_path, monkeypatch):
    from space_clip_ros.training import step as module

    honest = module.depth_loss
    calls = []

    def sometimes_nan(*arguments):
        calls.append(1)
        losses = honest(*arguments)
        return {name: value * float("nan") for name, value in losses.items()} if len(calls) in bad else losses

    monkeypatch.setattr(module, "depth_loss", sometimes_nan)
    bad = {2, 4, 5}
    outcome = train(tiny(optimizer__max_bad_steps=3), listener)
    assert outcome.finished
    assert rows(tmp_path / "run" / "steps.csv")[-1]["skipped"] == "3"
    assert sum("not finite" in line for line in listener.lines) == 3
    weights = load_checkpoint(tmp_path / "run" / "last" / "model.safetensors").state_dict()
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())

    calls.clear()
    bad = {2, 3, 4}
    with pytest.raises(SpaceClipError, match=r"3 steps in a row were not finite.*lower optimizer\.lr"):
        train(tiny(optimizer__max_bad_steps=3, run__dir=str(tmp_path / "second")), listener)


def test_a_folder_with_a_run_is_not_overwritten(tiny, listener, tmp_path):
    train(tiny(optimizer__epochs=1), listener)
    (tmp_path / "run" / "last").unlink()
    with pytest.raises(ConfigError, match="holds a run already; give --resume"):
        train(tiny(optimizer__epochs=1), listener)


def test_a_run_that_was_lost_before_it_saved_anything_starts_over(tiny, listener, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "steps.csv").write_text("step,epoch\n1,1\n")
    with pytest.raises(ConfigError, match="holds a run without a checkpoint; give --resume-or-start"):
        train(tiny(optimizer__epochs=1), listener)
    assert train(tiny(optimizer__epochs=1), listener, resume=None).finished
    assert [row["step"] for row in rows(tmp_path / "run" / "steps.csv")] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run__dir": "{}/file/run"}, r"checkpoints: cannot be written \(Not a directory\)"),
        ({"run__wandb": "depth"}, "run.wandb: needs the wandb package"),
        ({"data__validation": [{"path": "/nowhere"}]}, "/nowhere"),
        ({"initial": "/nowhere.safetensors"}, r"/nowhere\.safetensors"),
    ],
)
def test_mistakes_are_found_before_every_frame_is_read(tiny, listener, tmp_path, monkeypatch, changes, message):
    (tmp_path / "file").touch()
    monkeypatch.setitem(sys.modules, "wandb", None)
    settled = {name: value.format(tmp_path) if isinstance(value, str) else value for name, value in changes.items()}
    with pytest.raises(SpaceClipError, match=message):
        train(tiny(data__scan=True, data__cache=True, **settled), listener)
    assert not listener.lines and not listener.notes and not (tmp_path / "run").exists()


def test_resuming_needs_a_run_and_its_settings(tiny, listener, tmp_path):
    with pytest.raises(ConfigError, match="holds no checkpoint to resume from"):
        train(tiny(), listener, resume=True)
    train(tiny(optimizer__epochs=1), listener)
    with pytest.raises(ConfigError, match=r"differ: optimizer\.epochs, optimizer\.lr; take them from its config\.yaml"):
        train(tiny(optimizer__epochs=2, optimizer__lr=1e-2), listener, resume=True)
    assert train(tiny(optimizer__epochs=1, run__log_steps=5), listener, resume=True).finished


def test_nothing_to_train_on(tiny, listener):
    with pytest.raises(ConfigError, match=r"data\.train: names no source"):
        train(tiny(data__train=[]), listener)


def test_initial_weights_are_taken_over_or_refused(tiny, listener, tmp_path):
    first = train(tiny(optimizer__epochs=1), listener)
    again = tiny(
        initial=str(first.best),
        run__dir=str(tmp_path / "again"),
        optimizer__lr=0.0,
        optimizer__final_lr=0.0,
        optimizer__epochs=1,
    )
    train(again, listener)
    ours, theirs = (load_checkpoint(path) for path in (first.best, tmp_path / "again" / "last" / "model.safetensors"))
    for (name, left), right in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(left, right), name
    wider = tiny(initial=str(first.best), run__dir=str(tmp_path / "wider"), model__decoder__film_hidden=12)
    with pytest.raises(SpaceClipError, match=r"holds another model.*film.*; give the settings that it was"):
        train(wider, listener)


def test_an_uncertainty_head_trained_on_a_finished_checkpoint(tiny, listener, tmp_path):
    finished = train(tiny(optimizer__epochs=1), listener).best
    outcome = train(
        tiny(
            model__uncertainty=True,
            train_only="uncertainty",
            initial=str(finished),
            optimizer__epochs=6,
            optimizer__lr=1e-2,
            run__dir=str(tmp_path / "uncertain"),
        ),
        listener,
    )
    assert outcome.criterion == "nll"
    evaluations = rows(tmp_path / "uncertain" / "evaluations.csv")
    assert outcome.best_score == pytest.approx(min(float(row["nll"]) for row in evaluations))
    assert len({row["abs_rel"] for row in evaluations}) == 1
    before, after = load_checkpoint(finished), load_checkpoint(outcome.best)
    assert all(torch.equal(tensor, after.state_dict()[name]) for name, tensor in before.state_dict().items())
    images = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        assert torch.equal(before(images).depth, after(images).depth)
    assert after.config.uncertainty_factor != 1.0


def test_a_head_of_names_trained_on_a_finished_checkpoint(tiny, listener, tmp_path):
    """On two synthetic frames with labels; the best weights are those whose labels fit best."""
    finished = train(tiny(model__uncertainty=True, optimizer__epochs=1), listener).best
    names = ["road", "sky", "building"]
    drive = write_drive(tmp_path, 2, seed=3, scans=False, labels=True, scale=0.15)
    source = {"path": str(drive), "labels": names}
    outcome = train(
        tiny(
            model__language={"outputs": ["dense"], "embed_dim": 3, "vocabulary": names, "logit_scale": 8.0},
            model__uncertainty=True,
            train_only="language",
            initial=str(finished),
            data__train=[{**source, "weight": 4}],
            data__validation=[source],
            optimizer__epochs=6,
            optimizer__lr=1e-2,
            run__dir=str(tmp_path / "named"),
        ),
        listener,
    )
    assert outcome.criterion == "label_error"
    errors = [float(row["label_error"]) for row in rows(tmp_path / "named" / "evaluations.csv")]
    assert outcome.best_score == pytest.approx(min(errors)) and min(errors) < max(errors)
    before, after = load_checkpoint(finished), load_checkpoint(outcome.best)
    assert all(torch.equal(tensor, after.state_dict()[name]) for name, tensor in before.state_dict().items())
    assert after.config.language.vocabulary == tuple(names)
    assert after.config.uncertainty_factor == before.config.uncertainty_factor != 1.0


def test_labels_must_be_the_vocabulary_s(tiny):
    language = {"outputs": ["dense"], "embed_dim": 2, "vocabulary": ["road", "car"]}
    with pytest.raises(ConfigError, match=r"data\.train\[0\]\.labels: must name model\.language\.vocabulary"):
        tiny(model__language=language, data__train=[{"path": "x", "labels": ["car", "road"]}])
    with pytest.raises(ConfigError, match=r"language needs model\.language\.vocabulary"):
        tiny(train_only="language")
    with pytest.raises(ConfigError, match=r"loss\.classes: needs model\.language\.vocabulary, and labels"):
        tiny(model__language=language, loss__classes=0.5)


def test_uncertainty_alone_needs_a_model_that_has_it(tiny):
    with pytest.raises(ConfigError, match=r"uncertainty needs model\.uncertainty: true"):
        tiny(train_only="uncertainty")
