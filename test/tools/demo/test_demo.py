"""The demo as a user runs it: to its end, into an error, and into Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import cv2
import pytest

from space_clip_ros.errors import DataError
from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.tools.demo.__main__ import make_parser, write_results
from space_clip_ros.tools.demo.summary import summarize
from space_clip_ros.tools.latency import ArrivalLog
from space_clip_ros.tools.terminal import Terminal

MARK = "SPACE_CLIP_TEST_RUN"


class Run:
    """A demo in its own process, with an environment variable that marks all its descendants."""

    def __init__(self, *arguments: object) -> None:
        self.mark = uuid.uuid4().hex
        environment = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "space_clip_ros.tools.demo", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, MARK: self.mark},
        )

    def finish(self) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=150)
        return self.process.returncode, output, errors

    def descendants(self) -> list[int]:
        wanted = f"{MARK}={self.mark}".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if wanted in readable(path)]

    def wait_for_line(self, text: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came")


def readable(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def gone(run: Run) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if not run.descendants():
            return True
        time.sleep(0.1)
    return False


def test_a_drive_is_played_through_and_reported(tmp_path: Path, small_drive: Path, tiny_model_file: Path) -> None:
    run = Run("--drive", small_drive, "--model", tiny_model_file, "--rate", 2, "--out", tmp_path, "--no-recording")
    status, output, errors = run.finish()
    assert status == 0, errors
    assert not (tmp_path / "recording").exists()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["frames_sent"] == 5
    assert 1 <= summary["frames_received"] <= 5
    assert set(summary["latency_ms"]) == {"p50", "p95", "p99", "max", "outputs"}
    assert set(summary["latency_ms"]["outputs"]) == {"depth/image", "depth/camera_info", "depth/points", "depth/color"}
    assert summary["latency_ms"]["p50"] > 0
    assert "engine" in summary["stages_ms"]
    assert (summary["model"], summary["backend"]) == (tiny_model_file.stem, "onnxruntime")
    assert "scale" not in summary and "scale while running" not in output
    assert summary["abs_rel"] > 0 and 0 <= summary["delta1"] <= 1
    # Every frame has either arrived or been counted as dropped.
    assert summary["frames_received"] + sum(summary["drops"].values()) >= summary["frames_sent"]
    report = cv2.imread(str(tmp_path / "report.png"))
    assert report is not None and report.std() > 10
    assert f"{tiny_model_file.stem} on onnxruntime" in output
    assert "\r" not in output, "nothing is redrawn without a terminal"
    assert gone(run)


def test_the_help_that_is_shown_before_the_set_up_is_the_parsers() -> None:
    """To write it anew: ``COLUMNS=100 python -m space_clip_ros.tools.demo --help > scripts/demo_help.txt``."""
    kept = (Path(__file__).resolve().parents[3] / "scripts" / "demo_help.txt").read_text(encoding="utf-8")
    # Line breaks depend on the terminal.
    assert kept.split() == make_parser().format_help().split()


def test_the_figures_of_a_run_are_there_even_if_its_report_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.png").mkdir()
    arrivals = ArrivalLog(["depth/image"])
    arrivals.add("depth/image", 0, 30_000_000)
    summary = summarize(arrivals, 1, DepthValues(), {}, {"drive": "a_drive"})
    with pytest.raises(DataError, match=r"report\.png"):
        write_results(tmp_path, summary, [], Terminal())
    assert "1 of 1 frames" in capsys.readouterr().out
    assert (tmp_path / "summary.json").is_file()


def test_a_bag_is_played_like_a_drive(tmp_path: Path, small_drive: Path) -> None:
    """A bag with compressed images; the recording has what arrived, without clouds. The scale is looked for."""
    from space_clip_ros.tools.bags.kitti_to_bag import write_bag
    from space_clip_ros.tools.bags.options import BagOptions
    from space_clip_ros.tools.bags.reader import BagReader

    write_bag(small_drive, tmp_path / "bag", BagOptions(compressed="png"))
    run = Run("--bag", tmp_path / "bag", "--camera-height", 1.65, "--rate", 2, "--out", tmp_path / "out")
    status, output, errors = run.finish()
    assert status == 0, errors
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["drive"], summary["recording"]) == ("bag", "recording")
    # On a busy machine the first messages may be sent before everyone has subscribed.
    assert 1 <= summary["frames_sent"] <= 5
    assert summary["abs_rel"] > 0
    # With new stamps: with the bag's own, latencies would be years.
    assert 0 < summary["latency_ms"]["p50"] < 3_600_000
    assert cv2.imread(str(tmp_path / "out" / "report.png")) is not None
    scale = summary["scale"]
    assert scale["mode"] == "camera_height" and scale["factor"] > 0 and scale["sigma"] > 0
    assert f"scale while running: {scale['text']}" in output
    assert f"{tmp_path / 'out' / 'recording'}\n" in output
    with BagReader(tmp_path / "out" / "recording") as bag:
        counts = {name: topic.count for name, topic in bag.topics.items()}
    for topic in ("/image/compressed", "/camera_info", "/ground_truth/image"):
        assert 1 <= counts[topic] <= 5, topic
    outputs = ("/depth/image", "/depth/camera_info", "/depth/uncertainty", "/diagnostics")
    assert min(counts[topic] for topic in outputs) > 0
    assert "/depth/points" not in counts
    assert gone(run)


def test_a_run_can_be_watched_live(tmp_path: Path, small_drive: Path, tiny_model_file: Path) -> None:
    """The page is served while the model loads, shows images and figures of the drive, and ends with the demo."""
    pytest.importorskip("tornado")
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import WebSocketClosedError, websocket_connect

    words = ("--view", "--view-port", 0, "--rate", 1, "--no-recording", "--out", tmp_path)
    run = Run("--drive", small_drive, "--model", tiny_model_file, *words)
    url = run.wait_for_line("live view: http://127.0.0.1:").split()[-1]

    async def watch() -> int:
        # Tornado gives up after 20 s by default, too early for a page that starts beside a model on a busy machine.
        request = HTTPRequest(f"{url.replace('http', 'ws')}live", connect_timeout=60, request_timeout=60)
        connection = await websocket_connect(request)
        with_pictures = 0
        while (written := await asyncio.wait_for(connection.read_message(), 60)) is not None:
            head = json.loads(written[4 : 4 + int.from_bytes(written[:4], "little")])
            with_pictures += bool(head["pictures"]["image"] and head["pictures"]["depth"] and head["cards"])
            with contextlib.suppress(WebSocketClosedError):
                await connection.write_message("next")
        assert connection.close_code == 1001
        return with_pictures

    assert asyncio.run(watch()) > 0
    status, _, errors = run.finish()
    assert status == 0, errors
    assert json.loads((tmp_path / "summary.json").read_text())["frames_sent"] >= 1
    assert gone(run)


def test_a_port_that_is_taken_ends_the_demo_before_anything_starts(tmp_path: Path, small_drive: Path) -> None:
    pytest.importorskip("tornado")
    from space_clip_ros.tools.bags import messages, qos
    from space_clip_ros.tools.bags.writer import BagWriter
    from space_clip_ros.tools.demo.recording import NOTE

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with BagWriter(tmp_path / "recording", note=NOTE) as bag:
            bag.add("/tf", "tf2_msgs/msg/TFMessage", qos.TF)
            bag.write("/tf", 5, messages.transforms())
        status, output, errors = Run("--drive", small_drive, "--view", "--view-port", port, "--out", tmp_path).finish()
    assert status == 1
    assert (tmp_path / "recording" / "metadata.yaml").exists()
    assert errors == f"demo: port {port} of 127.0.0.1: is taken; give another one, or 0 for any that is free\n"
    assert output == ""


def test_a_missing_model_ends_the_demo_with_the_reason(tmp_path: Path, small_drive: Path) -> None:
    run = Run("--drive", small_drive, "--model", "no_such_model", "--out", tmp_path)
    status, _, errors = run.finish()
    assert status == 1
    assert errors.startswith("demo: depth_node")
    assert "no_such_model" in errors
    assert "Traceback" not in errors
    assert gone(run)


@pytest.mark.parametrize(("option", "text"), [("--drive", "no such folder"), ("--bag", "no such bag")])
def test_a_missing_input_is_named_before_anything_starts(tmp_path: Path, option: str, text: str) -> None:
    status, _, errors = Run(option, "/nowhere", "--out", tmp_path).finish()
    assert status == 1
    assert errors.startswith(f"demo: /nowhere: {text}")


def test_a_run_does_not_replace_the_recording_that_it_plays(tmp_path: Path, small_drive: Path) -> None:
    from space_clip_ros.tools.bags.kitti_to_bag import write_bag

    recording = tmp_path / "recording"
    write_bag(small_drive, recording)
    status, _, errors = Run("--bag", recording, "--out", tmp_path).finish()
    assert status == 1
    assert errors == f"demo: {recording}: would be replaced by this run's recording; give another --out\n"
    assert (recording / "metadata.yaml").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_and_all_its_processes(
    tmp_path: Path, small_drive: Path, tiny_model_file: Path, number: signal.Signals
) -> None:
    run = Run("--drive", small_drive, "--model", tiny_model_file, "--rate", 0.2, "--out", tmp_path)
    run.wait_for_line("loading")
    run.process.send_signal(number)
    status, _, errors = run.finish()
    assert status == 130
    assert errors.strip() == "demo: stopped"
    assert gone(run)


def test_even_a_killed_demo_leaves_no_process_behind(tmp_path: Path, small_drive: Path, tiny_model_file: Path) -> None:
    run = Run("--drive", small_drive, "--model", tiny_model_file, "--rate", 0.2, "--out", tmp_path)
    run.wait_for_line("frame ")
    run.process.kill()
    run.finish()
    assert gone(run)


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["--rate", "0"], "between 0.1 and 200 Hz"),
        (["--rate", "fast"], "between 0.1 and 200 Hz"),
        (["--frames", "0"], "at least 1"),
        (["--backend", "abacus"], "invalid choice"),
        (["--drive", "a", "--bag", "b"], "not allowed with"),
        (["--view", "--view-port", "70000"], "between 0 and 65535"),
        (["--scale-mode", "guess"], "invalid choice"),
        (["--camera-height", "-1"], "at least 0"),
        (["--camera-height", "0"], "say what for, with --scale-mode camera_height"),
        (["--image", "/front/image"], "--image chooses a topic of a --bag"),
        (["--no-recording", "--record-clouds"], "--record-clouds needs the recording"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], text: str) -> None:
    status, _, errors = Run(*arguments).finish()
    assert status == 2
    assert text in errors
