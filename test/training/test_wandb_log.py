"""Weights & Biases, by its own library: a real offline log, read back by its own definition of records."""

from __future__ import annotations

import json
import struct
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


def payloads(content):
    """The records of a log in LevelDB's format, which wandb writes behind a header of seven bytes.

    Blocks of 32768 bytes hold pieces of records; before each stand its checksum, its length and whether it is whole
    (1), or the first (2), a middle (3) or the last (4) of its record.
    """
    place, record = 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def records(folder):
    """Every record of the logs in a run's folder, oldest first, by wandb's own definition."""
    import wandb
    from wandb.proto import wandb_internal_pb2

    # A process of wandb's own writes the logs, after a run has finished too; this waits for its end.
    wandb.teardown()
    for file in sorted(folder.glob("wandb/offline-run-*/run-*.wandb"), key=lambda file: file.stat().st_mtime_ns):
        for payload in payloads(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(payload)
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
    shown = [row for row in logged if "validation.count" in row]
    sizes = [[row[f"validation.{name}"] for name in ("count", "width", "height")] for row in shown]
    assert sizes == [[2, 12, 8]] * 2 and [row["step"] for row in shown] == [1, 2]
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
    remedy = r"leave run.wandb empty, or .*-e '\.\[wandb\]'"
    with pytest.raises(ConfigError, match=f"run.wandb: needs the wandb package; {remedy}"):
        WandbWriter(tmp_path, "depth", {})
