from __future__ import annotations

import pytest

from space_clip_ros.cli.main import main
from space_clip_ros.tools import ros_process


def test_without_ros_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ros_process.importlib.util, "find_spec", lambda name: None)
    assert main(["replay", "bag"]) == 1
    assert "rclpy" in capsys.readouterr().err
