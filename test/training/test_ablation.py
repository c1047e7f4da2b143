"""A small ablation trained end to end: resumed after a signal, under torchrun, and its table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from space_clip_ros import settings
from space_clip_ros.errors import ConfigError
from space_clip_ros.model import load_checkpoint
from space_clip_ros.training.ablation import load_ablation, run_ablation
from space_clip_ros.training.ablation_table import markdown_table, write_table

ROWS = [
    {"name": "full", "label": "the base"},
    {"name": "narrow", "overrides": ["model.decoder.channels=[4, 4, 4, 4]", "model.decoder.dropout=0.4"]},
]


@pytest.fixture
def written(tiny, tmp_path: Path) -> Callable[..., Path]:
    def write(rows: list[dict[str, object]] = ROWS, folder: str = "table") -> Path:
        base = tmp_path / "base.yaml"
        base.write_text(settings.dump(tiny(optimizer__epochs=1)))
        path = tmp_path / f"{folder}.yaml"
        path.write_text(yaml.safe_dump({"base": "base.yaml", "dir": str(tmp_path / folder), "rows": rows}))
        return path

    return write


def test_an_interrupted_ablation_goes_on_where_it_stopped(written, listener, interrupting, tmp_path: Path) -> None:
    unbroken = load_ablation(written(folder="unbroken"))
    expected = run_ablation(unbroken, listener)
    assert expected.finished and [result.name for result in expected.results] == ["full", "narrow"]

    broken, tables = load_ablation(written(folder="broken")), []
    stopped = run_ablation(broken, interrupting("training", 5), lambda results: tables.append(len(results)))
    assert not stopped.finished and [result.name for result in stopped.results] == ["full"]
    assert (tmp_path / "broken/narrow/last").resolve().name == "000000002"
    resumed = run_ablation(broken, listener, lambda results: tables.append(len(results)))
    assert resumed == expected and tables == [1, 1, 2]
    assert listener.lines.count("already finished") == 1

    full, narrow = expected.results
    model = load_checkpoint(tmp_path / "unbroken/narrow/best.safetensors")
    assert narrow.parameters == sum(tensor.numel() for tensor in model.parameters()) < full.parameters
    assert narrow.metrics["abs_rel"] != full.metrics["abs_rel"]


def test_the_table_compares_with_the_first_row(written, listener, tmp_path: Path) -> None:
    ablation = load_ablation(written())
    results = run_ablation(ablation, listener).results
    markdown, report = (path.read_text() for path in write_table(ablation, results))
    header, rule, first, second = markdown.splitlines()
    assert header.startswith("| row | trained weights | epoch | abs_rel | ") and "against the base |" in header
    assert first.startswith(f"| the base | {results[0].trained_parameters:,} | 1 (") and first.endswith(" |  |")
    assert f"| {results[1].metrics['abs_rel']:.4f} |" in second and second.endswith(" % |")
    assert rule.count("|") == header.count("|") == first.count("|") == second.count("|")
    written_rows = json.loads(report)["rows"]
    assert written_rows[1]["overrides"] == ROWS[1]["overrides"]
    assert written_rows[0]["metrics"] == results[0].metrics
    assert markdown_table(ablation, results[:1]).endswith("\n1 of 2 rows are not finished.\n")


def test_a_row_without_comparable_depth_has_no_metrics_and_stops_no_other(written, listener, tmp_path: Path) -> None:
    ablation = load_ablation(written([{"name": "near", "overrides": ["model.max_depth=3.0"]}, {"name": "full"}]))
    near, full = run_ablation(ablation, listener).results
    assert (near.epoch, near.weights, near.metrics) == (0, "", {}) and full.metrics["abs_rel"] > 0.0
    first, second = markdown_table(ablation, [near, full]).splitlines()[2:]
    assert first.startswith(f"| near | {near.trained_parameters:,} |  |  |")
    assert f"| {full.metrics['abs_rel']:.4f} |" in second and second.endswith(" |  |")


def test_a_row_that_was_lost_before_it_saved_anything_starts_over(written, listener, tmp_path: Path) -> None:
    (tmp_path / "table/full").mkdir(parents=True)
    (tmp_path / "table/full/steps.csv").write_text("step,epoch\n1,1\n")
    assert run_ablation(load_ablation(written(ROWS[:1])), listener).finished


def test_a_row_has_no_folder_of_its_own(written) -> None:
    with pytest.raises(ConfigError, match=r"run\.dir: each row has its own folder; leave it out, and set dir in "):
        load_ablation(written(), ["run.dir=elsewhere"])
    with pytest.raises(ConfigError, match=r"row a: run\.dir: the row's folder is .*a; leave it out"):
        load_ablation(written([{"name": "a", "overrides": ["run.dir=elsewhere"]}]))


def test_a_finished_row_of_other_settings_is_an_error(written, listener) -> None:
    path = written(ROWS[:1])
    run_ablation(load_ablation(path), listener)
    with pytest.raises(ConfigError, match=r"row full: .*these differ: optimizer\.lr"):
        load_ablation(path, ["optimizer.lr=0.5"])


def test_a_row_s_own_settings_hold_against_the_command_line_s(written) -> None:
    base, narrow = load_ablation(written(), ["model.decoder.dropout=0.2", "seed=7"]).rows
    assert (base.config.model.decoder.dropout, narrow.config.model.decoder.dropout) == (0.2, 0.4)
    assert base.config.seed == narrow.config.seed == 7


def test_every_problem_of_every_row_at_once(written) -> None:
    rows = [
        {"name": "full"},
        {"name": "a", "overrides": ["model.decoder.dropot=1"]},
        {"name": "b", "overrides": ["optimizer.lr=fast"]},
        {"name": "c", "overrides": ["data.validation=[]"]},
    ]
    with pytest.raises(ConfigError) as raised:
        load_ablation(written(rows))
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert "row a: " in lines[0] and "dropot: no such setting; did you mean model.decoder.dropout?" in lines[0]
    assert "row b: " in lines[1] and "optimizer.lr: must be a number" in lines[1]
    assert "row c: data.validation: names no source" in lines[2]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "rows: must name at least one"),
        ([{"name": "a"}, {"name": "a"}], "rows: 'a' is there twice"),
        ([{"name": "../a"}], r"rows\[0\]: name: must be letters"),
        ([{"label": "a"}], r"rows\[0\]: name: must be letters"),
    ],
)
def test_rows_that_cannot_be(written, rows: list[dict[str, object]], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_ablation(written(rows))


def test_the_same_command_trains_under_torchrun(written, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command += ["space_clip_ros.cli.main", "ablate", str(written())]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| row | trained weights |") == 1
    report = json.loads((tmp_path / "table/table.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["full", "narrow"]
