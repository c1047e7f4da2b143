"""``space_clip replay``: what the command does before it becomes the node, which test/ros/test_replay.py plays with."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.tools import ros_process


def test_the_command_becomes_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy")
    started: list[Any] = []
    monkeypatch.setattr(ros_process.os, "execv", lambda *command: started.append(command))
    main(["replay", "bag", "--loop", "--topics", "/image"])
    program, words = started[0]
    assert program == sys.executable
    assert words[1:4] == ["-m", "space_clip_ros.tools.bags.replay", "bag"]
    assert words[-3:] == ["--loop", "--topics", "/image"]


def test_wrong_values_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "bag", "--rate", "0"]) == 1
    assert capsys.readouterr().err == "space_clip replay: rate must be from 0.01 to 100, got 0\n"


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["replay", "--help"])
    assert exit_status.value.code == 0
    assert "example:" in capsys.readouterr().out
