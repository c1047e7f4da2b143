"""Errors of obstacles, counted on frames worked out ray by ray."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from obstacles.course import CourseFrame
from obstacles.errors import ObstacleErrors, Tally, count_errors
from obstacles.table import bearing_table, pixel_table
from space_clip_ros.geometry.obstacles import ObstacleLimits
from space_clip_ros.geometry.pixel_grid import EVERY_PIXEL

LIMITS = ObstacleLimits()
LEVEL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@pytest.fixture
def course(scenes: Any) -> CourseFrame:
    """A car on level ground."""
    depth = scenes.street(scenes.CAR)
    v, u = np.indices(depth.shape)
    height = 1.65 - depth * (v - scenes.CAMERA.cy) / scenes.CAMERA.fy
    across = depth * (u - scenes.CAMERA.cx) / scenes.CAMERA.fx
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    return CourseFrame(rgb, depth, np.abs(height) < 1e-3, height, np.hypot(across, depth), LEVEL)


def counted(scenes: Any, course: CourseFrame, depth: np.ndarray) -> ObstacleErrors:
    return count_errors([course], scenes.CAMERA, lambda frame: depth, LIMITS, EVERY_PIXEL)


def test_exact_depth_finds_everything(scenes: Any, course: CourseFrame) -> None:
    errors = counted(scenes, course, course.depth)
    assert (errors.frames, errors.without_ground) == (1, 0)
    assert [tally.total > 0 for tally in errors.found] == [True, True, False, False]
    assert errors.found[0].percent > 99 and all(tally.count == 0 for tally in (*errors.false, errors.sky))
    assert errors.bearings_found.percent == 100 and errors.bearings_false.count == 0
    assert max(errors.range_errors) < 0.01


def test_an_obstacle_that_depth_does_not_show_is_missed(scenes: Any, course: CourseFrame) -> None:
    errors = counted(scenes, course, scenes.street())
    assert errors.found[0].percent == 0 and errors.bearings_found.percent == 0


def test_an_obstacle_that_is_none_is_false(scenes: Any, course: CourseFrame) -> None:
    errors = counted(scenes, course, scenes.street(scenes.CAR, scenes.Box((-3, -1), (12, 13), (0, 1.2))))
    assert errors.false[1].count > 0 and errors.false[0].count == 0
    assert errors.bearings_false.count > 5


def test_without_ground_nothing_is_found(scenes: Any, course: CourseFrame) -> None:
    errors = counted(scenes, course, scenes.street(scenes.WALL))
    assert errors.without_ground == 1
    assert errors.found[0].count == 0 < errors.found[0].total


def test_sky_that_the_depth_calls_near_is_counted(scenes: Any, course: CourseFrame) -> None:
    errors = counted(scenes, course, np.where(np.isnan(course.depth), np.float32(6.0), course.depth))
    assert 0 < errors.sky.percent < 30


def test_the_tables() -> None:
    errors = ObstacleErrors(frames=3, without_ground=1)
    errors.found[0], errors.false[0] = Tally(9, 10), Tally(1, 10_000)
    errors.bearings_found, errors.bearings_false = Tally(1, 4), Tally(0, 7)
    errors.range_errors = [0.1, 0.1, 0.2]
    assert pixel_table({"flat": errors}).splitlines() == [
        "| course | 0 to 10 m | 10 to 15 m | 15 to 20 m | 20 to 25 m | sky | frames without ground |",
        "|---|---|---|---|---|---|---|",
        "| flat | 90.0 % / < 0.1 % | - / - | - / - | - / - | - | 1 of 3 |",
    ]
    assert bearing_table({"flat": errors}).splitlines()[2] == "| flat | 25.0 % | 0.0 % | 10.0 % | 18.0 % |"
