"""``space_clip benchmark --training``: figures on the terminal, in JSON and in Markdown, and wrong usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.tools.benchmark import training
from space_clip_ros.tools.benchmark.report import SCHEMA
from space_clip_ros.tools.benchmark.training_report import training_markdown


def test_figures_on_the_terminal_in_json_and_in_markdown(
    run_yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_READING_S", 0.0)
    files = tmp_path / "b.json", tmp_path / "b.md"
    settings = [str(run_yaml), "model.name=small", "runtime.threads=1"]
    command = [
        "benchmark",
        "--training",
        *settings,
        "--steps",
        "2",
        "--json",
        str(files[0]),
        "--markdown",
        str(files[1]),
    ]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert " of the plain loop: " in output and " samples/s per worker" in output
    result = json.loads(files[0].read_text(encoding="utf-8"))
    assert result["schema"] == SCHEMA and result["machine"]["cores"]
    assert result["training"]["steps"] == 2 and set(result["training"]["sides"]) == {"ours", "plain"}
    text = files[1].read_text(encoding="utf-8")
    assert text == training_markdown(result)
    for part in (
        "# Training small: batch 2, 2 steps, fp32 on cpu, 1 threads",
        "|  | ours | plain eager fp32 loop | ratio |",
        "| CPU seconds a step, mean |",
        "| mean loss of the last tenth |",
        "with one worker: ",
    ):
        assert part in text
    assert "GPU" not in text


def test_parts_that_do_not_go_with_training(run_yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["benchmark", "--end-to-end", "--training", str(run_yaml)])
    assert caught.value.code == 2 and "--end-to-end: no effect with --training" in capsys.readouterr().err


def test_steps_must_be_counted() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["benchmark", "--training", "a.yaml", "--steps", "0"])
    assert caught.value.code == 2


def test_a_setting_that_does_not_exist(run_yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--training", str(run_yaml), "optimizer.batch=2"]) == 1
    assert "optimizer.batch: no such setting" in capsys.readouterr().err
