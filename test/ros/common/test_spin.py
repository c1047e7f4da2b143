"""The shared main: a node that finishes, one that is busy, one that fails."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from space_clip_ros.ros.common import spin
from space_clip_ros.ros.drive import depth_evaluator, kitti_player
from space_clip_ros.ros.node import depth_node
from space_clip_ros.settings import setting

SCRIPT = """
import sys, time
from rclpy.node import Node
from space_clip_ros.errors import BackendError, ConfigError, DeviceLostError
from space_clip_ros.ros.common import spin

class Subject(Node):
    def __init__(self, finish):
        super().__init__("subject")
        if MODE == "refuse":
            raise ConfigError("parameters: no good")
        self._finish = finish
        self.create_timer(0.01, self._work)

    def _work(self):
        print("ready", flush=True)
        if MODE == "finish":
            self._finish()
        elif MODE == "err":
            self.error = BackendError("CUDA failed", "no driver", "install one")
            self._finish()
        elif MODE == "give up":
            self._finish(BackendError("CUDA failed", "no driver", "install one"))
        elif MODE == "lost":
            self._finish(DeviceLostError("CUDA failed", "an illegal access", "start the process again"))
        elif MODE == "fail":
            raise ValueError("broken callback")
        elif MODE == "busy":
            time.sleep(1000)
        else:
            time.sleep(0.1)

    def close(self):
        return "farewell"

class Library:
    def __del__(self):
        print("freed", flush=True)

LIBRARY = Library()
MODE = sys.argv[1]
sys.exit(spin.run(Subject, "subject", "A node to try.", []))
"""


def start(mode: str, domain: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, mode]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def end(process: subprocess.Popen[str], number: int | None = None) -> tuple[int, list[str]]:
    if number is not None:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors.splitlines()


def test_a_node_may_finish_by_itself(domain):
    status, lines = end(start("finish", domain))
    assert status == 0
    assert len(lines) == 1
    assert "farewell" in lines[0]


def test_a_node_that_finishes_with_an_error_has_failed(domain):
    status, lines = end(start("err", domain))
    assert status == 1
    assert len(lines) == 1
    assert "farewell" in lines[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_farewell(domain, number):
    status, lines = end(start("wait", domain), number)
    assert status == 0
    assert len(lines) == 1
    assert "farewell" in lines[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_callback_that_does_not_return_cannot_hold_it_up(domain, number):
    status, lines = end(start("busy", domain), number)
    assert status == 0
    assert len(lines) == 1
    assert "stopped while busy" in lines[0]


def test_a_callback_that_raises_ends_it_with_a_traceback(domain):
    status, lines = end(start("fail", domain))
    assert status == 1
    assert lines[-1] == "ValueError: broken callback"


def test_a_node_may_give_up_with_a_reason(domain):
    process = start("give up", domain)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    reason, farewell = errors.splitlines()
    assert "CUDA failed: no driver; install one" in reason and "farewell" in farewell
    assert output.endswith("freed\n")


def test_after_a_lost_gpu_no_library_is_asked_to_free_it(domain):
    process = start("lost", domain)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    reason, farewell = errors.splitlines()
    assert "an illegal access; start the process again" in reason and "farewell" in farewell
    assert "freed" not in output


def test_a_node_that_cannot_start_says_so_in_one_line(domain):
    status, lines = end(start("refuse", domain))
    assert status == 1
    assert len(lines) == 1
    assert "parameters: no good" in lines[0]


@dataclasses.dataclass(frozen=True)
class Settings:
    rate: float = setting(2.0, "messages a second")
    names: tuple[str, ...] = setting((), "what to play")


def test_help_lists_the_node_s_own_parameters_and_its_example(capsys):
    with pytest.raises(SystemExit) as caught:
        spin.run(
            lambda finish: None, "subject", "A node to try.", ["--help"], settings=Settings, example="-p rate:=5.0"
        )
    assert caught.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  rate (2.0): messages a second" in lines and "  names ([]): what to play" in lines
    assert lines[-1] == "example: subject --ros-args -p rate:=5.0"


@pytest.mark.parametrize(
    ("main", "parameter", "example"),
    [
        (depth_node.main, "points.stride (2)", "--params-file config/depth.yaml -r image:=/camera/image_raw"),
        (kitti_player.main, "drive (", "-p drive:="),
        (depth_evaluator.main, "sync_tolerance (", "-p json:="),
    ],
)
def test_each_node_shows_what_is_its_own(capsys, main, parameter, example):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert f"  {parameter}" in text and f" --ros-args {example}" in text.partition("example: ")[2]
    assert "``" not in text
