"""Weights & Biases, by its own library: a real offline log, read back with its own reader."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from space_clip_ros.errors import ConfigError
from space_clip_ros.training.wandb_log import WandbWriter


@pytest.fixture
def offline(monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    for name, value in {"MODE": "offline", "SILENT": "true", "DISABLE_GIT": "true", "DISABLE_CODE": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)


def records(folder):
    """Every record of the logs in a run's folder, by wandb's own reader."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    for file in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        store = DataStore()
        store.open_for_scan(str(file))
        while (data := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            yield record


def rows(folder):
    history = [record.history for record in records(folder) if record.HasField("history")]
    return [{item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in h.item} for h in history]


def test_scalars_pictures_and_settings_are_logged_and_a_resumed_run_goes_on(offline, tmp_path):
    folder = tmp_path / "first"
    for step in (1, 2):
        writer = WandbWriter(folder, "depth", {"seed": 42})
        writer.scalars({"train/total": 1.5 / step}, step)
        writer.pictures("validation", [np.full((8, 12, 3), 40 * step, np.uint8)] * 2, step)
        writer.close()
    logged = rows(folder)
    assert [(row["step"], row["train/total"]) for row in logged if "train/total" in row] == [(1, 1.5), (2, 0.75)]
    shown = [row["validation"] for row in logged if "validation" in row]
    assert [(one["count"], one["width"], one["height"]) for one in shown] == [(2, 12, 8)] * 2
    runs = [record.run for record in records(folder) if record.HasField("run")]
    assert {(run.project, run.display_name) for run in runs} == {("depth", "first")}
    assert {run.run_id for run in runs} == {(folder / "wandb_id").read_text().strip()}
    assert any(item.key == "seed" and item.value_json == "42" for item in runs[0].config.update)


def test_without_a_project_nothing_is_written_nor_imported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    writer = WandbWriter(tmp_path, "", {})
    writer.scalars({"a": 1.0}, 1)
    writer.pictures("b", [np.zeros((8, 8, 3), np.uint8)], 1)
    writer.close()
    assert not list(tmp_path.iterdir())


def test_wanted_but_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"run.wandb: needs the wandb package; pip install 'space_clip_ros\[wandb\]'"):
        WandbWriter(tmp_path, "depth", {})
