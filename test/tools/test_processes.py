"""Child processes: started, watched, never left behind."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from space_clip_ros.ros import executables as nodes
from space_clip_ros.ros.executables import DEPTH_EVALUATOR, KITTI_PLAYER
from space_clip_ros.tools import executables as tools
from space_clip_ros.tools.processes import ChildError, Children


@pytest.fixture(autouse=True)
def own_domain(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))


def test_every_module_that_is_started_exists() -> None:
    modules = [value for room in (nodes, tools) for name, value in vars(room).items() if name.isupper()]
    assert len(modules) == 7
    for module in modules:
        assert importlib.util.find_spec(f"space_clip_ros.{module}") is not None, module


def test_a_child_that_fails_is_named_with_its_last_lines(tmp_path: Path, until: Callable[..., None]) -> None:
    with Children(tmp_path) as children:
        player = children.start(KITTI_PLAYER, {"drive": "/nowhere: a drive"})
        until(lambda: not player.running, "the player's end")
        with pytest.raises(
            ChildError, match=r"(?s)kitti_player: ended with status 1.*/nowhere: a drive: no such folder"
        ):
            children.check(may_end=(player,))


def test_parameters_reach_the_child_through_a_file(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start(DEPTH_EVALUATOR, {"crop": "eigen", "period": 0.5})
        text = (tmp_path / "depth_evaluator.yaml").read_text()
    assert yaml.safe_load(text) == {"/**": {"ros__parameters": {"crop": "eigen", "period": 0.5}}}


def test_leaving_stops_everybody_gently(tmp_path: Path, until: Callable[..., None]) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with Children(tmp_path) as children:
        evaluator = children.start(DEPTH_EVALUATOR, {"period": 0.1})
        until(lambda: evaluator.running, "the start")
        children.check()
    assert not evaluator.running
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_end_too_early_is_an_error_even_with_status_0(
    tmp_path: Path, small_drive: Path, until: Callable[..., None]
) -> None:
    with Children(tmp_path) as children:
        player = children.start(KITTI_PLAYER, {"drive": str(small_drive), "wait_for_subscribers": 0.0, "rate": 10.0})
        until(lambda: not player.running, "the drive's end")
        children.check(may_end=(player,))
        with pytest.raises(ChildError, match=r"(?s)ended with status 0.*played 5 frames"):
            children.check()


def test_a_child_that_is_killed_is_named_with_the_signal(tmp_path: Path, until: Callable[..., None]) -> None:
    with Children(tmp_path) as children:
        evaluator = children.start(DEPTH_EVALUATOR, {})
        evaluator._process.kill()
        until(lambda: not evaluator.running, "the end")
        with pytest.raises(ChildError, match=r"was ended by SIGKILL"):
            children.check()
