"""``space_clip record`` up to the point where it becomes the node; test/tools/bags/test_record.py tests the node."""

from __future__ import annotations

from typing import Any

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.tools import ros_process
from space_clip_ros.tools.executables import BAG_RECORD


def test_the_command_becomes_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rclpy")
    started: list[Any] = []
    monkeypatch.setattr(ros_process.os, "execv", lambda *command: started.append(command))
    main(["record", "/image", "--out", "bag"])
    assert started[0][1][1:] == [
        "-m",
        f"space_clip_ros.{BAG_RECORD}",
        "/image",
        "--out=bag",
    ]


def test_wrong_values_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--out", "bag", "--duration", "-1"]) == 1
    assert capsys.readouterr().err == "space_clip record: duration: must be at least 0, got -1.0\n"


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["record", "--help"])
    assert exit_status.value.code == 0
    assert "example:" in capsys.readouterr().out
