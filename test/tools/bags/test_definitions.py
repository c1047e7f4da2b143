from __future__ import annotations

from pathlib import Path

import pytest

from space_clip_ros.tools.bags.definitions import Definitions


def test_ros_own_types_have_their_hash() -> None:
    definition = Definitions().find("sensor_msgs/msg/Image")
    assert definition is not None
    assert definition.type_hash == "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47"
    assert "MSG: std_msgs/Header" in definition.text


def test_others_are_read_from_what_their_packages_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "share" / "robot_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Wheel.msg").write_text("float64 speed\n", encoding="utf-8")
    (folder / "Car.msg").write_text("std_msgs/Header header\nWheel[4] wheels\nWheel[] spare\n", encoding="utf-8")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    definition = Definitions().find("robot_msgs/msg/Car")
    assert definition is not None
    assert "MSG: robot_msgs/Wheel" in definition.text
    assert "float64 speed" in definition.text
    assert definition.type_hash.startswith("RIHS01_")


def test_a_missing_part_makes_the_whole_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "share" / "robot_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Car.msg").write_text("Wheel[] wheels\n", encoding="utf-8")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert Definitions().find("robot_msgs/msg/Car") is None
    assert Definitions().find("nowhere/msg/Thing") is None
