"""Tests ``space_clip predict --bag`` with many bags, on local processes and on Ray with two workers."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.config import NodeConfig, SemanticConfig
from space_clip_ros.tools.bags.prediction import PredictionOptions
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.fleet.bags import find_bags
from space_clip_ros.tools.fleet.command import threads_per_task
from space_clip_ros.tools.fleet.local_pool import LocalPool
from space_clip_ros.tools.fleet.run import FleetRun
from space_clip_ros.tools.fleet.tasks import run_task


@pytest.fixture()
def model(tiny_model_file: Path) -> list[str]:
    return ["--model", str(tiny_model_file)]


def depth_counts(out: Path) -> dict[str, int]:
    counts = {}
    for folder in sorted({file.parent for file in out.rglob("metadata.yaml")}):
        with BagReader(folder) as bag:
            counts[str(folder.relative_to(out))] = bag.topics["/depth/image"].count
    return counts


def messages(bag: Path) -> list[tuple[str, int, bytes]]:
    with BagReader(bag) as reader:
        return list(reader.messages(reader.topics))


EXPECTED = {"monday/first": 2, "monday/second": 2, "tuesday": 3}


def test_a_folder_of_bags_gets_depth_and_its_failure_is_named(
    fleet: Path, tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["predict", "--bag", str(fleet), "--out", str(out), *model]
    assert main([*arguments, "--workers", "2"]) == 1
    printed = capsys.readouterr()
    assert sorted(printed.out.splitlines()) == [
        f"3 of 4 bags are in {out}",
        "monday/first: 2 images",
        "monday/second: 2 images",
        "tuesday: 3 images",
    ]
    *notes, failed, last = printed.err.splitlines()
    assert len(notes) == 3 and all("no camera_info on /camera_info yet" in note for note in notes)
    assert failed.startswith(f"failed: broken: {fleet}/broken/broken.mcap: ends early")
    assert last == "1 of 4 bags failed; run the command again to try only these"
    assert depth_counts(out) == EXPECTED

    made = {name: (out / name / "metadata.yaml").stat().st_mtime_ns for name in EXPECTED}
    good = fleet / "tuesday" / "tuesday.mcap"
    (fleet / "broken" / "broken.mcap").write_bytes(good.read_bytes())
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"3 of 4 bags are done already\nbroken: 3 images\n4 of 4 bags are in {out}\n"
    assert made == {name: (out / name / "metadata.yaml").stat().st_mtime_ns for name in EXPECTED}


def test_a_fleets_bag_is_what_the_bag_alone_gives(fleet: Path, tmp_path: Path, model: list[str]) -> None:
    many = ["--bag", str(fleet / "tuesday"), str(fleet / "monday"), "--out", str(tmp_path / "many")]
    assert main(["predict", *many, *model]) == 0
    assert main(["predict", "--bag", str(fleet / "tuesday"), "--out", str(tmp_path / "one"), *model]) == 0
    assert messages(tmp_path / "many" / "tuesday") == messages(tmp_path / "one")
    assert not list((tmp_path / "many").glob(".*"))


def test_other_options_do_not_mix_with_what_is_there(
    fleet: Path, tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "--bag", str(fleet / "monday"), "--out", str(tmp_path / "out"), *model]
    assert main(arguments) == 0
    assert json.loads((tmp_path / "out" / "fleet.json").read_text(encoding="utf-8"))["choice of outputs"]
    capsys.readouterr()
    assert main([*arguments, "--color"]) == 1
    error = capsys.readouterr().err
    assert "holds bags that were made with another choice of outputs; choose another folder" in error
    assert error.count("\n") == 1


def test_a_run_that_finished_no_bag_decides_nothing(
    fleet: Path, tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "--bag", str(fleet / "monday"), "--out", str(tmp_path / "out"), *model]
    assert main([*arguments, "--image", "/typo"]) == 1
    assert "2 of 2 bags failed" in capsys.readouterr().err
    assert main(arguments) == 0
    assert depth_counts(tmp_path / "out") == {"first": 2, "second": 2}


def test_a_folder_without_metadata_is_no_finished_bag(fleet: Path, tmp_path: Path, tiny_model_file: Path) -> None:
    (tmp_path / "out" / "tuesday").mkdir(parents=True)
    options = PredictionOptions(settings=NodeConfig(model=str(tiny_model_file)))
    run = FleetRun(find_bags([str(fleet / "tuesday")]), str(tmp_path / "out"), options)
    assert (run.done, [task.bag.name for task in run.tasks]) == ([], ["tuesday"])


def test_files_of_the_options_do_not_depend_on_the_folder_of_a_worker(
    fleet: Path, tmp_path: Path, tiny_model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(tiny_model_file, "m.onnx")
    Path("queries.safetensors").touch()
    semantic = SemanticConfig(query_file="queries.safetensors")
    options = PredictionOptions(settings=NodeConfig(model="m.onnx", semantic=semantic))
    (task,) = FleetRun(find_bags([str(fleet / "tuesday")]), str(tmp_path / "out"), options).tasks
    settings = task.options.settings
    assert settings.model == str(tmp_path / "m.onnx")
    assert settings.semantic.query_file == str(tmp_path / "queries.safetensors")


def test_bags_whose_model_ran_in_different_ways_are_named(
    fleet: Path, tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["predict", "--bag", str(fleet / "monday"), str(fleet / "tuesday"), "--out", str(out), *model]
    assert main(arguments) == 0
    assert "did not run the same way" not in capsys.readouterr().err
    manifest = json.loads((out / "fleet.json").read_text(encoding="utf-8"))
    assert manifest["ran"] == dict.fromkeys(("first", "second", "tuesday"), "onnxruntime, cpu, fp32")
    # as if another machine had done it
    manifest["ran"]["first"] = "tensorrt, cuda, fp16"
    (out / "fleet.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert main(arguments) == 0
    error = capsys.readouterr().err
    assert "tensorrt, cuda, fp16 for first; onnxruntime, cpu, fp32 for second, tuesday" in error


def test_workers_share_the_cores_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("space_clip_ros.tools.fleet.command.thread_count", lambda: 7)
    assert [threads_per_task(workers, "") for workers in (0, 1, 2, 3, 8)] == [7, 7, 3, 2, 1]
    assert threads_per_task(8, "auto") == 1


def test_a_bucket_to_a_bucket(
    fleet: Path, tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fsspec")
    out = tmp_path / "out"
    arguments = ["predict", "--bag", f"file://{fleet}/monday", "--out", f"file://{out}", *model]
    assert main(arguments) == 0
    assert depth_counts(out) == {"first": 2, "second": 2}
    capsys.readouterr()
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("2 of 2 bags are done already\n")


@pytest.mark.parametrize("option", [["--workers", "2"], ["--ray"]])
def test_one_bag_takes_no_option_for_many(
    option: list[str], fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as status:
        main(["predict", "--out", str(tmp_path / "out"), *option, "--bag", str(fleet / "tuesday")])
    assert status.value.code == 2
    assert "for many bags" in capsys.readouterr().err


def children() -> set[int]:
    return {int(name) for name in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_a_killed_process_costs_only_its_bag(fleet: Path, tmp_path: Path, tiny_model_file: Path) -> None:
    options = PredictionOptions(settings=NodeConfig(model=str(tiny_model_file)))
    run = FleetRun(find_bags([str(fleet / "monday")]), str(tmp_path / "out"), options)
    before = children()
    with contextlib.closing(run.results(LocalPool(1))) as results:
        killed = threading.Thread(target=_kill_first_child, args=(before,))
        killed.start()
        ended = {result.name: result.problem for result in results}
        killed.join()
    assert ended == {"first": "its process was ended by SIGKILL (out of memory?)", "second": ""}
    assert depth_counts(tmp_path / "out") == {"second": 2}


def _kill_first_child(before: set[int]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        # multiprocessing also has a process that tracks its resources.
        for process in children() - before:
            if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(process, signal.SIGKILL)
                return
        time.sleep(0.001)


def test_no_process_outlives_its_pool(
    fleet: Path, tmp_path: Path, tiny_model_file: Path, write_bag: Callable[..., Path]
) -> None:
    options = PredictionOptions(settings=NodeConfig(model=str(tiny_model_file)))
    # So many images that this bag is still being worked on when the other one is done.
    write_bag(fleet / "long", 0, frames=3000)
    run = FleetRun(find_bags([str(fleet / "tuesday"), str(fleet / "long")]), str(tmp_path / "out"), options)
    results = run.results(LocalPool(2))
    assert next(results).name == "tuesday"
    assert multiprocessing.active_children()
    results.close()
    assert not multiprocessing.active_children()


def test_an_error_that_nobody_expected_is_the_bags_own(
    fleet: Path, tmp_path: Path, tiny_model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = PredictionOptions(settings=NodeConfig(model=str(tiny_model_file)))
    (task,) = FleetRun(find_bags([str(fleet / "tuesday")]), str(tmp_path / "out"), options).tasks

    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr("space_clip_ros.tools.fleet.tasks.predict_bag", fails)
    result = run_task(task)
    assert result.problem == "internal error, ZeroDivisionError: by design"
    assert "fails" in result.trace


# Ray itself is some ten processes.
@pytest.mark.timeout(600)
def test_ray_does_the_same_on_two_workers(
    fleet: Path, tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Workers are nicer than everything else by default, and would wait for ever on a busy machine.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    out = tmp_path / "out"
    arguments = ["predict", "--bag", str(fleet), "--out", str(out), *model, "--ray", "--workers", "2"]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert f"3 of 4 bags are in {out}" in printed.out
    assert "failed: broken: " in printed.err
    assert depth_counts(out) == EXPECTED
    assert not ray.is_initialized()


def test_a_cluster_that_is_not_there_is_one_line(
    fleet: Path, tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert main(["predict", "--bag", str(fleet), "--out", str(tmp_path / "out"), *model, "--ray", "auto"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("space_clip predict: Ray at auto: cannot be used (ConnectionError")
    assert error.count("\n") == 1


def test_without_ray_the_line_says_what_to_install(
    fleet: Path,
    tmp_path: Path,
    model: list[str],
    capsys: pytest.CaptureFixture[str],
    uninstall: Callable[..., None],
) -> None:
    uninstall("ray")
    assert main(["predict", "--bag", str(fleet), "--out", str(tmp_path / "out"), *model, "--ray"]) == 1
    assert "pip install -c constraints/wheels.txt -e '.[fleet]'" in capsys.readouterr().err


def test_of_a_rays_traceback_only_its_last_line_is_told() -> None:
    pytest.importorskip("ray")
    from space_clip_ros.tools.fleet.ray_pool import described

    text = "ray::task()\nTraceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'rosbags'\n"
    assert described(RuntimeError(text)) == "ModuleNotFoundError: No module named 'rosbags'"
    assert described(ConnectionError("no\ncluster")) == "ConnectionError: no cluster"
