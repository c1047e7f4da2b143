from __future__ import annotations

import pytest

from space_clip_ros.cli import ros_program
from space_clip_ros.cli.main import main


def test_without_ros_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ros_program.importlib.util, "find_spec", lambda name: None)
    assert main(["replay", "bag"]) == 1
    assert "rclpy" in capsys.readouterr().err
