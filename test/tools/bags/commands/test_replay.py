"""``space_clip replay`` up to the point where it becomes the node; test/tools/bags/test_replay.py tests the node."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.tools import ros_process
from space_clip_ros.tools.executables import BAG_REPLAY


def test_the_command_becomes_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy")
    started: list[Any] = []
    monkeypatch.setattr(ros_process.os, "execv", lambda *command: started.append(command))
    main(["replay", "bag", "--loop", "--topics", "/image"])
    program, words = started[0]
    assert program == sys.executable
    assert words[1:4] == ["-m", f"space_clip_ros.{BAG_REPLAY}", "bag"]
    assert words[-3:] == ["--loop", "--topics", "/image"]


def test_wrong_values_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "bag", "--rate", "0"]) == 1
    assert capsys.readouterr().err == "space_clip replay: rate: must be at least 0.01, got 0.0\n"


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["replay", "--help"])
    assert exit_status.value.code == 0
    assert "example:" in capsys.readouterr().out
