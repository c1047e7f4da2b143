"""Both sides train in their own processes, in turns, and their errors reach the parent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from space_clip_ros.errors import BackendError, SpaceClipError
from space_clip_ros.settings import to_dict
from space_clip_ros.tools.benchmark import training
from space_clip_ros.tools.benchmark.training import OURS, PLAIN, SIDES, Side, measure_training
from space_clip_ros.training_config import DataConfig, TrainingConfig


@pytest.fixture(autouse=True)
def short_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_READING_S", 0.0)


def test_both_sides_train_the_same_thing(recipe: TrainingConfig) -> None:
    advanced: list[int] = []
    result = measure_training(recipe, 3, lambda: advanced.append(1))
    assert len(advanced) == 6 and (result["steps"], result["batch_size"]) == (3, 2)
    assert result["runtime"]["threads"] == 1 and result["runtime"]["device"] == "cpu"
    ours, plain = (result["sides"][name] for name in SIDES)
    assert len(ours["losses"]) == 3
    assert ours["losses"] == pytest.approx(plain["losses"], rel=1e-2)
    for side in (ours, plain):
        assert side["steps_per_s"] > 0 and side["cpu_s_per_step"] > 0 and side["resident_mb"] > 50
        assert side["samples_per_s"] == pytest.approx(2 * side["steps_per_s"], rel=1e-3)
        assert side["device_mb"] is None
    assert result["times_faster"] == pytest.approx(plain["wall_s_per_step"] / ours["wall_s_per_step"], abs=1e-2)
    assert result["reading"]["workers"] == 1 and result["reading"]["samples_per_s_per_worker"] > 0


def test_settings_that_a_side_cannot_use(recipe: TrainingConfig) -> None:
    nothing = replace(recipe, data=DataConfig(train=({"path": "/nowhere"},)))
    with pytest.raises(SpaceClipError, match="/nowhere"):
        measure_training(nothing, 1)


def test_a_side_that_ends(recipe: TrainingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_PROCESS", "space_clip_ros.nothing")
    message = r"the ours side of the training benchmark: ended with status 1, see above"
    with Side(OURS, {"config": to_dict(recipe)}) as side, pytest.raises(BackendError, match=message):
        side.answer()


def test_a_side_ends_with_its_block(recipe: TrainingConfig) -> None:
    with pytest.raises(KeyboardInterrupt), Side(PLAIN, {"config": to_dict(recipe), "steps": 5}) as side:
        assert side.answer()["device"] == "cpu"
        side.ask(1)
        raise KeyboardInterrupt
    assert side._process.returncode is not None
