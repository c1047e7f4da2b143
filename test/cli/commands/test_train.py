from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys

import pytest

from space_clip_ros import settings
from space_clip_ros.cli.main import main
from space_clip_ros.data.published_lists import published_samples
from space_clip_ros.errors import ConfigError
from space_clip_ros.training_config import TrainingConfig, sources

CONFIGS = ("kitti", "nyu", "road_tiny", "ablation")


def test_training_says_where_the_best_weights_are(run_yaml, tmp_path, capsys):
    assert main(["train", str(run_yaml), "run.log_steps=1"]) == 0
    out = capsys.readouterr().out
    assert "train: 4 frames" in out and "epoch 1: raw abs_rel" in out
    assert "done after 2 steps; best weights (abs_rel " in out and str(tmp_path / "run" / "best.safetensors") in out
    assert settings.load(TrainingConfig, tmp_path / "run" / "config.yaml").run.log_steps == 1


def test_settings_may_follow_options(run_yaml, capsys):
    assert main(["train", str(run_yaml), "run.log_steps=1", "--resume-or-start", "data.validation=[]"]) == 0
    assert "nothing was validated" in capsys.readouterr().out


def test_without_validation_the_last_weights_are_named(run_yaml, tmp_path, capsys):
    assert main(["train", str(run_yaml), "data.validation=[]"]) == 0
    assert f"nothing was validated, the last weights are in {tmp_path / 'run' / 'last'}" in capsys.readouterr().out


def test_an_interrupted_run_says_how_to_resume(run_yaml, tmp_path, capsys, monkeypatch):
    from space_clip_ros.training import trainer

    outcome = trainer.Outcome(7, False, tmp_path / "best.safetensors", "abs_rel", 0.5, True)
    monkeypatch.setattr(trainer, "train", lambda *_: outcome)
    assert main(["train", str(run_yaml), "data.train=[{path: a b}]"]) == 130
    output = capsys.readouterr().out
    assert f"resume with: space_clip train {run_yaml} 'data.train=[{{path: a b}}]' --resume" in output


@pytest.fixture()
def running(run_yaml, tmp_path, until):
    """A long run with two reading processes, in a group of its own, after its first step; it writes log.txt."""
    command = [sys.executable, "-m", "space_clip_ros.cli.main", "train", str(run_yaml), "run.log_steps=1"]
    command += ["optimizer.epochs=10000", "validation.every=10000", "data.workers=2", "runtime.threads=1"]
    log = tmp_path / "log.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True) as run,
    ):
        try:
            table = tmp_path / "run" / "steps.csv"
            until(lambda: run.poll() is not None or (table.exists() and "\n1," in table.read_text()), "a step", 300.0)
            assert run.poll() is None, log.read_text()
            yield run
        finally:
            if group_exists(run.pid):
                os.killpg(run.pid, signal.SIGKILL)


def group_exists(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_sigterm_to_the_whole_group_saves_the_run(running, tmp_path):
    """As ``timeout`` and systemd send it, to the reading processes too."""
    os.killpg(running.pid, signal.SIGTERM)
    status = running.wait(120)
    log = (tmp_path / "log.txt").read_text()
    assert status == 130 and "everything is saved; resume with:" in log, log
    assert (tmp_path / "run" / "last").exists()


def test_reading_processes_end_with_a_killed_run(running, until):
    running.kill()
    running.wait()
    until(lambda: not group_exists(running.pid), "the end of the reading processes", 60.0)


def test_every_problem_of_the_settings_at_once(run_yaml, capsys):
    wrong = ["optimizer.lr=fast", "optimizer.epoch=3", "loss.silog=-1", "data.train=[{kind: kitti_list}]"]
    assert main(["train", str(run_yaml), *wrong]) == 1
    output = capsys.readouterr().err
    for line in (
        "optimizer.lr: must be a number, got 'fast'",
        "optimizer.epoch: no such setting; did you mean optimizer.epochs?",
        "loss.silog: must be at least 0, got -1",
    ):
        assert line in output
    assert "Traceback" not in output


def test_a_source_s_problems_are_named():
    values = {
        "data": {"train": [{"path": "a"}, {"kind": "kitti_list", "frame": [0, 1]}, {"frames": [3, 1], "path": "a"}]}
    }
    with pytest.raises(ConfigError) as raised:
        settings.parse(TrainingConfig, values)
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("train[1]: frame: no such setting; did you mean frames?")
    assert lines[1].endswith("train[2]: frames: must be empty or [first, one after the last], got [3, 1]")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"data": {"train": [{"path": ""}]}}, "path: must be given"),
        ({"data": {"train": [{"path": "a", "kind": "nyu_list"}]}}, "file_list: must name a text file"),
        ({"data": {"train": [{"path": "a", "kind": "nyu_list", "file_list": "eigen_test"}]}}, "is for kind kitti_list"),
        ({"data": {"train": [{"path": "a", "file_list": "mine.txt"}]}}, "must be eigen_train or eigen_test for kind"),
        ({"data": {"train": [{"path": "a", "kind": "frames", "file_list": "nyu_test"}]}}, "not for kind frames"),
        ({"data": {"resolution": [1, 2, 3]}}, "resolution: must be empty or [height, width]"),
        ({"augmentation": {"crop": [1]}}, "crop: must be empty or [height, width]"),
        ({"augmentation": {"gamma": [1.1, 0.9]}}, "gamma: must be [lowest, highest]"),
        ({"loss": {"silog": 0, "ssim": 0, "auxiliary": []}}, "at least one loss term needs a weight above 0"),
    ],
)
def test_settings_that_do_not_fit_together(changes, problem):
    with pytest.raises(ConfigError) as raised:
        settings.parse(TrainingConfig, changes)
    assert problem in str(raised.value)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_files_we_ship_are_valid(name, project_root):
    config = settings.load(TrainingConfig, project_root / "config" / f"{name}.yaml")
    assert config.data.train and config.data.validation
    assert settings.parse(TrainingConfig, settings.to_dict(config)) == config


def test_kitti_and_nyu_are_the_recipe_to_the_digit(project_root):
    kitti, nyu = (settings.load(TrainingConfig, project_root / "config" / f"{name}.yaml") for name in ("kitti", "nyu"))
    for config, batch, crop, furthest in ((kitti, 64, (352, 704), 80.0), (nyu, 32, (480, 640), 10.0)):
        optimizer = config.optimizer
        assert (config.seed, optimizer.batch_size, optimizer.epochs) == (42, batch, 20)
        assert (optimizer.lr, optimizer.final_lr, optimizer.weight_decay) == (1e-4, 1e-6, 0.01)
        assert (optimizer.warmup, optimizer.clip_norm, optimizer.ema_decay) == (0.05, 1.0, 0.996)
        assert (config.loss.silog, config.loss.ssim, config.loss.gradient) == (0.5, 0.5, 0.0)
        assert config.loss.auxiliary == (0.1, 0.05, 0.0)
        varied = config.augmentation
        assert (varied.rotation, varied.crop, varied.flip, varied.color) == (1.0, crop, 0.5, 0.5)
        assert varied.gamma == varied.brightness == varied.tint == (0.9, 1.1)
        assert (varied.zoom, varied.blur, varied.noise, varied.erase) == (1.0, 0.0, 0.0, 0.0)
        assert (config.model.min_depth, config.model.max_depth) == (0.001, furthest)
        assert config.model.input_size == (224, 224) and config.pretrained == "openai"
        assert config.model.encoder == type(config.model.encoder)()


def test_kitti_and_nyu_are_trained_and_validated_on_the_published_frames(project_root):
    for name, frames in (("kitti", (23158, 652)), ("nyu", (24231, 654))):
        data = settings.load(TrainingConfig, project_root / "config" / f"{name}.yaml").data
        (train,), (validation,) = sources(data.train), sources(data.validation)
        assert [len(published_samples(source.file_list)) for source in (train, validation)] == list(frames)


def test_the_ablation_s_commands_are_valid(project_root):
    """Each row differs from the first by the settings that its name says and is otherwise the same run."""
    page = (project_root / "docs" / "ablations.md").read_text(encoding="utf-8")
    lines = page.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("space_clip train config/ablation.yaml")]
    common = ("runtime.threads=1",)
    rows = {
        folder.rpartition("/")[2]: [word for word in overrides if word not in common]
        for _, _, _, folder, *overrides in commands
    }
    assert set(rows) == {"reference", "consistent", "adapters", "cross_attention"}
    assert not rows["reference"]
    configs = {
        name: settings.load(TrainingConfig, project_root / "config" / "ablation.yaml", overrides)
        for name, overrides in rows.items()
    }
    assert {name: config.augmentation.geometry for name, config in configs.items()}["reference"] == "reference"
    assert all(config.augmentation.geometry == "consistent" for name, config in configs.items() if name != "reference")
    assert [name for name, config in configs.items() if config.model.encoder.adapters.rank] == ["adapters"]
    assert [name for name, config in configs.items() if config.model.decoder.fusion != "gates"] == ["cross_attention"]


def test_the_command_is_found_in_a_shell():
    done = subprocess.run(
        [sys.executable, "-m", "space_clip_ros.cli.main", "train", "--help"], capture_output=True, text=True, check=True
    )
    assert "example: space_clip train config/kitti.yaml" in done.stdout
