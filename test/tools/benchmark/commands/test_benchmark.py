"""``space_clip benchmark``: figures on the terminal, in JSON and in Markdown, and every wrong usage."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from space_clip_ros.errors import BackendError, InputError, ModelError
from space_clip_ros.export.onnx import export
from space_clip_ros.model import SpaceClip, save_checkpoint
from space_clip_ros.tools.benchmark.commands import benchmark
from space_clip_ros.tools.benchmark.report import SCHEMA, markdown

END_TO_END = {
    "size": [100, 60],
    "rate_hz": 10.0,
    "stride": 1,
    "depth_resolution": "half",
    "frames_sent": 5,
    "frames_received": 4,
    "latency_ms": {"depth/image": {"p50": 20.0, "p95": 25.0, "p99": 30.0, "max": 31.0}, "depth/points": None},
    "over_engine_ms": {"depth/image": {"p50": 5.0, "p95": 10.0, "p99": 15.0, "max": 16.0}, "depth/points": None},
    "stages_ms": {"convert": 0.1, "engine": 15.0, "depth/points": 2.0},
    "overhead_ms": 2.1,
    "conversions_ms": {"points to cloud": {"p50": 0.5, "p95": 0.6, "p99": 0.7, "max": 0.8}},
    "rmw": "rmw_fastrtps_cpp",
    "dds_profile": "fastdds.xml",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., SpaceClip]) -> Path:
    """Holds tiny.onnx, for 100 x 60 pixels, its tiny.safetensors, and another network's other.safetensors."""
    folder, model = tmp_path_factory.mktemp("model"), tiny_model()
    save_checkpoint(model, folder / "tiny.safetensors")
    save_checkpoint(tiny_model("other", width=16), folder / "other.safetensors")
    export(model, folder / "tiny.onnx", 60, 100)
    return folder


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    benchmark.add_parser(parser.add_subparsers())
    return benchmark.run(parser.parse_args(["benchmark", *map(str, arguments)]))


def test_figures_on_the_terminal_in_json_and_in_markdown(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "new" / "b.json", tmp_path / "new" / "b.md"
    arguments = ["--model", folder / "tiny.onnx", "--frames", 3, "--threads", 1, "--thread-spinning"]
    arguments += ["--json", files[0], "--markdown", files[1]]
    monkeypatch.setattr(sys, "argv", ["/bin/space_clip", "benchmark", "--frames", "3"])
    assert run(*arguments, "--eager", folder / "tiny.safetensors") == 0
    output = capsys.readouterr().out
    assert "tiny on onnxruntime, cpu, fp32, 1 threads that spin" in output
    assert "100x60, batch 1: p50 " in output and " x eager PyTorch" in output and "limits here: " in output
    result = json.loads(files[0].read_text(encoding="utf-8"))
    assert result["schema"] == SCHEMA
    assert {"created", "command", "machine", "model", "roofline", "cases", "end_to_end"} < set(result)
    assert result["command"] == "space_clip benchmark --frames 3"
    assert (result["model"]["name"], result["model"]["file"]) == ("tiny", "tiny.onnx")
    assert result["model"]["threads"] == 1 and result["model"]["thread_spinning"] is True
    assert result["roofline"]["gflops"] > 0 and result["end_to_end"] == []
    (case,) = result["cases"]
    # the size that the file was exported for, as none was given
    assert case["size"] == [100, 60] and case["memory_mb"]["resident"] > 10
    text = files[1].read_text(encoding="utf-8")
    assert text == markdown(result)
    for part in (
        "# tiny: onnxruntime on cpu",
        "| fp32 matrix peak |",
        "## 100x60, batch 1",
        "| encoder |",
        "eager fp32",
    ):
        assert part in text


def test_a_network_without_counted_operations_has_no_floor(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, file = onnx.load(folder / "tiny.onnx"), tmp_path / "uncounted.onnx"
    properties = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**properties, "space_clip.cost": "{}"})
    onnx.save(model, file)
    run("--model", file, "--frames", 1, "--threads", 1, "--json", tmp_path / "b.json")
    assert f"no floor: no operations could be counted when {file} was adopted" in capsys.readouterr().out
    result = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert result["roofline"] is None and result["cases"][0]["floor"] is None


def test_the_end_to_end_part_gets_the_options_of_the_command(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def answer(command: list[str]) -> int:
        commands.append(command)
        Path(command[command.index("--json") + 1]).write_text(json.dumps([END_TO_END]), encoding="utf-8")
        return 0

    monkeypatch.setattr(benchmark, "_run_to_its_end", answer)
    file = tmp_path / "b.md"
    arguments = ["--model", folder / "tiny.onnx", "--frames", 2, "--threads", 1, "--thread-spinning", "--rate", 5]
    run(*arguments, "--end-to-end", "--depth-resolution", "half", "--markdown", file)
    (command,) = commands
    command.remove("--thread-spinning")
    given = dict(zip(command[3::2], command[4::2], strict=True))
    assert given["--model"] == str(folder / "tiny.onnx") and given["--size"] == "100x60"
    assert (given["--rate"], given["--frames"], given["--stride"], given["--threads"]) == ("5.0", "2", "1", "1")
    assert given["--depth-resolution"] == "half"
    output = capsys.readouterr().out
    assert "end to end, 100x60 at 10 Hz: depth/image p50 20.0 p99 30.0 ms, depth/points never arrived" in output
    assert "node overhead 2.10 ms; 4 of 5 images answered" in output
    text = file.read_text(encoding="utf-8")
    assert "depth_resolution half, cloud stride 1" in text
    assert "## End to end, 100x60" in text and "4 of 5 images answered with both at 10 Hz" in text
    assert "| depth/image | 20.000 | 25.000 | 30.000 |" in text and "| depth/points | never |" in text
    assert "| depth/image, over the engine's time | 5.000 | 10.000 | 15.000 |" in text


def test_an_end_to_end_part_that_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_END_TO_END", "space_clip_ros.nothing")
    with pytest.raises(BackendError, match=r"end-to-end part: ended with status 1, see above; it needs ROS 2"):
        run("--model", folder / "tiny.onnx", "--frames", 1, "--threads", 1, "--end-to-end")


def test_being_ended_ends_the_end_to_end_part_in_good_order(tmp_path: Path) -> None:
    """The command passes the signal on to the part that runs, and waits for it."""
    part = tmp_path / "part.py"
    part.write_text(
        "import pathlib, signal, sys, time\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "def end(*_):\n"
        "    time.sleep(0.3)\n"
        "    (folder / 'ended').touch()\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "(folder / 'started').touch()\n"
        "time.sleep(120)\n",
        encoding="utf-8",
    )
    command = [sys.executable, str(part), str(tmp_path)]
    program = f"from space_clip_ros.tools.benchmark.commands import benchmark; benchmark._run_to_its_end({command!r})"
    process = subprocess.Popen([sys.executable, "-c", program])
    end = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert (tmp_path / "ended").exists()


def test_eager_of_another_network_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"other\.safetensors: is another network than .*tiny\.onnx"):
        run("--model", folder / "tiny.onnx", "--threads", 1, "--eager", folder / "other.safetensors")


def test_mistakes_are_found_before_anything_is_measured(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)
    for arguments, error, message in (
        (["--eager", folder / "missing.pt"], ModelError, r"missing\.pt: no such model file"),
        (["--size", "100x60", "100x61"], InputError, "takes only images of 100 x 60 pixels, not 100 x 61"),
        (["--batch", "2"], InputError, "takes only 1 images at once, not 2; give --batch 1"),
        (["--end-to-end"], BackendError, "--end-to-end: there is no rclpy here; it needs ROS 2: leave"),
    ):
        with pytest.raises(error, match=message):
            run("--model", folder / "tiny.onnx", "--threads", 1, *arguments)
    assert "limits here" not in capsys.readouterr().out


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="no such name"):
        run("--model", "nothing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "1242"], "must be WIDTHxHEIGHT in pixels, got '1242'"),
        (["--size", "0x5"], "must be WIDTHxHEIGHT in pixels, got '0x5'"),
        (["--batch", "0"], "must be a whole number of at least 1, got '0'"),
        (["--frames", "many"], "must be a whole number of at least 1, got 'many'"),
        (["--rate", "fast"], "must be between 0.1 and 200 Hz, got 'fast'"),
        (["--rate", "1e9"], "must be between 0.1 and 200 Hz, got '1e9'"),
        (["--backend", "abacus"], "invalid choice: 'abacus'"),
        (["--stride", "2", "--also", "depth/color"], "--stride, --also: no effect without --end-to-end"),
        (["--steps", "5"], "--steps: no effect without --training"),
        (["--training", "none.yaml", "--batch", "2"], "--batch: no effect with --training"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err
