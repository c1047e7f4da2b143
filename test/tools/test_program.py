from __future__ import annotations

import pytest

from space_clip_ros.tools import program


def test_ros_arguments_are_split_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert program.split_arguments(["bag", "--loop", "--ros-args", "-r", "a:=b"]) == (
        ["bag", "--loop"],
        ["--ros-args", "-r", "a:=b"],
    )
    monkeypatch.setattr("sys.argv", ["replay", "bag"])
    assert program.split_arguments(None) == (["bag"], [])


def test_the_shipped_profile_is_used_where_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*program.dds.PROFILE_VARIABLES, "RMW_IMPLEMENTATION"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(program.dds, "free_shared_memory", lambda: 1 << 10)
    program.carry_large_messages()
    assert not program.dds.own_profile(program.os.environ)
    monkeypatch.setattr(program.dds, "free_shared_memory", lambda: 1 << 40)
    program.carry_large_messages()
    assert program.dds.own_profile(program.os.environ).endswith("fastdds.xml")
