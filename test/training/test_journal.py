from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.synthetic.drive import write_drive
from space_clip_ros.training.assembly import Progress
from space_clip_ros.training.journal import Journal, loss_terms
from space_clip_ros.training.trainer import train

EVERY_TERM = {"silog": 1, "ssim": 1, "gradient": 1, "log_l1": 1, "bands": 1, "log_gradient": 1, "far": 1, "classes": 1}
NAMES = {"outputs": ["dense"], "embed_dim": 2, "vocabulary": ["road", "sky"], "logit_scale": 8.0}
FIVE_BLOCKS = {"model__decoder__channels": [8, 8, 8, 8, 8], "model__decoder__semantic_states": [12, 9, 6, 3, 0]}


def columns(run: Path) -> list[str]:
    return (run / "steps.csv").read_text().partition("\n")[0].split(",")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss__auxiliary": [0.0, 0.1, 0.1, 0.1], **FIVE_BLOCKS},
        {"loss": {**EVERY_TERM, "auxiliary": [0.1]}, "model__uncertainty": True, "model__language": NAMES},
        {"model__uncertainty": True, "train_only": "uncertainty"},
        {"model__refinement": True, "train_only": "refinement"},
        {"train_only": "coarse"},
        {"model__language": NAMES, "train_only": "language"},
    ],
)
def test_every_loss_term_has_a_column(tiny, listener, tmp_path, changes):
    drive = write_drive(tmp_path, 2, seed=3, scans=False, labels=True, scale=0.15)
    source = {"path": str(drive), "weight": 2, "labels": ["road", "sky"]}
    if "train_only" in changes:
        shape = {name: value for name, value in changes.items() if name != "train_only"}
        changes = {**changes, "initial": str(train(tiny(**shape, run__dir=str(tmp_path / "first")), listener).best)}
    config = tiny(**changes, data__train=[source], data__validation=[], optimizer__epochs=1)
    train(config, listener)
    before, after = columns(tmp_path / "run"), (tmp_path / "run" / "steps.csv").read_text().splitlines()[-1].split(",")
    assert before == ["step", "epoch", "lr", *loss_terms(config), "grad_norm", "skipped", "samples_per_s"]
    assert all(after), "a term of the settings that no step has"
    said = listener.notes[-1].partition(" lr ")[0]
    assert all(f" {term} " in said for term in loss_terms(config))
    assert sum(f" {term} " in said for term in loss_terms(config)) == len(said.split()[4:]) // 2


def test_an_evaluation_that_a_resumed_run_repeats_is_dropped(tiny, tmp_path):
    (tmp_path / "evaluations.csv").write_text("step,epoch,weights\n3,1,raw\n3,1,ema\n6,2,raw\n")
    for evaluated, kept in ((True, 4), (False, 3)):
        Journal(tmp_path, tiny(), Progress(step=6, evaluated=evaluated), writing=True).close()
        assert len((tmp_path / "evaluations.csv").read_text().splitlines()) == kept
