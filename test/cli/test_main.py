"""Exit statuses and one-line errors of the whole command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from space_clip_ros import __version__
from space_clip_ros.cli import main as command
from space_clip_ros.files import written_whole
from space_clip_ros.tools.doctor.commands import doctor


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "space_clip_ros.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(command.command_modules()))
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main([name, "--help"])
    assert caught.value.code == 0
    assert f"space_clip {name} " in capsys.readouterr().out.partition("example")[2]


@pytest.mark.parametrize("name", ["predict", "doctor", "replay"])
def test_a_wrong_option_shows_the_usage_of_its_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main([name, *(["bag"] if name == "replay" else []), "-z"])
    errors = capsys.readouterr().err
    assert caught.value.code == 2 and "unrecognized arguments: -z" in errors
    assert errors.startswith(f"usage: space_clip {name} ")


def test_version() -> None:
    assert run("--version").stdout == f"space_clip {__version__}\n"


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), np.full((96, 320, 3), 128, np.uint8))
    command_line = ["predict", str(picture), "--out", str(tmp_path / "depth")]
    program = [sys.executable, "-m", "space_clip_ros.cli.main", *command_line]
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


def test_a_broken_connection_is_an_error_not_a_death(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["predict", "no/such/picture.png"])
    near, other = socket.socketpair()
    other.close()
    with pytest.raises(BrokenPipeError):
        near.sendall(b"x")
    near.close()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_any_command_without_leaving_a_draft(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    def write(_: object) -> int:
        with written_whole(tmp_path / "facts.json") as draft:
            draft.touch()
            os.kill(os.getpid(), number)
        return 0

    monkeypatch.setattr(doctor, "run", write)
    try:
        ended: object = command.main(["doctor"])
    except SystemExit as error:
        ended = error.code
    assert ended == status
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_the_commands_are_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "build_parser", interrupted)
    assert command.main(["doctor"]) == 130
    assert capsys.readouterr().err == "space_clip: interrupted\n"


@pytest.mark.parametrize("arguments", [(), ("unknown",), ("predict",)])
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert "usage: space_clip" in result.stderr


def test_an_error_is_one_line_and_exits_1() -> None:
    result = run("predict", "no/such/picture.png")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("space_clip predict: ")
    assert "no/such/picture.png" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "evaluate --model nothing --data none.yaml --protocol standard --json",
        "evaluate --model nothing --data none.yaml --protocol standard --csv",
        "evaluate --model nothing --data none.yaml --protocol standard --worst 2 --out",
        "compare nothing --data none.yaml --json",
        "compare nothing --data none.yaml --picture",
        "benchmark --model nothing --json",
        "benchmark --model nothing --markdown",
        "doctor --json",
        "data check none.yaml --json",
        "data shards none.yaml --out",
        "report none --out",
        "report none --out report.html --video",
        "text door --model nothing --out",
        "predict --bag none --out",
    ],
)
def test_a_result_that_cannot_be_written_is_found_first(
    arguments: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    suffix = {"text": ".safetensors", "report": ".mp4"}.get(arguments.partition(" ")[0], "")
    result = tmp_path / "file" / f"result{suffix}"
    if "--bag none" in arguments:
        (tmp_path / "bag.mcap").touch()
        arguments = arguments.replace("none", str(tmp_path / "bag.mcap"))
    assert command.main([*arguments.split(), str(result)]) == 1
    assert f"{result}: cannot be written (Not a directory); give another place" in capsys.readouterr().err


def test_debug_adds_the_traceback() -> None:
    result = run("predict", "no/such/picture.png", "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_a_missing_package_names_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("space_clip_ros.model")]:
        monkeypatch.delitem(sys.modules, name)
    assert command.main(["convert", "some.pt", "--out", "ours.safetensors"]) == 1
    assert "-e '.[train]'" in capsys.readouterr().err


# What holds a lost GPU's memory aborts the process in its destructor, at the latest when the interpreter ends.
LOST = """
import atexit, os, sys
from pathlib import Path
sys.path.insert(0, {test!r})
from fake_gpu import Gpu
gpu = Gpu(lambda *libraries: None)
gpu.install("10.3.0")
from space_clip_ros.cli import main
from space_clip_ros.export.engine import build_engine
build_engine(Path({model!r}), (94, 312))
gpu.errors["cudaGraphLaunch"] = [700]
atexit.register(os.abort)
sys.exit(main.main(["predict", {picture!r}, "--model", {model!r}, "--out", {out!r}]))
"""


def test_a_lost_gpu_is_one_line_and_exits_1(
    tiny_model_file: Path, small_drive: Path, tmp_path: Path, project_root: Path
) -> None:
    pytest.importorskip("onnx", reason="the fake GPU runs graphs with it")
    places = {
        "test": str(project_root / "test"),
        "model": str(tiny_model_file),
        "picture": str(next((small_drive / "image_02" / "data").iterdir())),
        "out": str(tmp_path),
    }
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    script = [sys.executable, "-c", LOST.format(**places)]
    result = subprocess.run(script, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert result.returncode == 1, result.stderr
    assert result.stderr.splitlines()[-1].startswith("space_clip predict: CUDA failed: an illegal memory access was")
