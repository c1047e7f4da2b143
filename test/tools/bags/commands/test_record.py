"""``space_clip record``: the command before it becomes the node, which test/ros/test_record.py records with."""

from __future__ import annotations

from typing import Any

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.tools import ros_process


def test_the_command_becomes_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy")
    started: list[Any] = []
    monkeypatch.setattr(ros_process.os, "execv", lambda *command: started.append(command))
    main(["record", "/image", "--out", "bag"])
    assert started[0][1][1:] == [
        "-m",
        "space_clip_ros.tools.bags.record",
        "--out=bag",
        "--duration=0.0",
        "--max-mb=0.0",
        "/image",
    ]


def test_wrong_values_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--out", "bag", "--duration", "-1"]) == 1
    assert capsys.readouterr().err == "space_clip record: duration must be 0 or more seconds, got -1\n"


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["record", "--help"])
    assert exit_status.value.code == 0
    assert "example:" in capsys.readouterr().out
