"""The scale of whole drives: right evidence is followed, wrong evidence leaves depth as it was."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from space_clip_ros.geometry.cloud import Projector, finite_points
from space_clip_ros.geometry.rigid import pose_from_angles
from space_clip_ros.perception.camera_mount import CameraMount
from space_clip_ros.perception.scale import FrameEvidence, MetricScale, ScaleEstimate
from space_clip_ros.perception.scale_evidence import CAMERA_HEIGHT, POINTS, RANGE, MeasuredCone, MeasuredPoints

MOUNT = CameraMount(1.65)
HZ = 5


@pytest.fixture
def small(scenes: Any) -> Any:
    """The scenes, seen by the small camera."""
    return SimpleNamespace(**{**vars(scenes), "street": partial(scenes.street, camera=scenes.SMALL)})


@pytest.fixture
def drive(small: Any) -> Callable[..., list[ScaleEstimate]]:
    """Runs a scale over depth maps, 5 a second, with the ground as evidence."""

    def run(depths: Iterable[np.ndarray], scale: MetricScale | None = None, **known: Any) -> list[ScaleEstimate]:
        scale = scale or MetricScale()
        return [
            scale.estimate(depth, small.SMALL, FrameEvidence(index / HZ, 0.1, **{"mount": MOUNT, **known}))
            for index, depth in enumerate(depths)
        ]

    return run


def repeated(depth: np.ndarray, seconds: float, small: Any, noise: float = 0.03) -> Iterator[np.ndarray]:
    for index in range(round(seconds * HZ)):
        yield small.noisy(depth, noise, index, patch=8)


def test_depth_that_is_too_small_is_brought_to_scale(small: Any, drive: Callable[..., list[ScaleEstimate]]) -> None:
    depth = small.street(*small.HOUSES, small.CAR) / np.float32(1.25)
    estimates = drive(repeated(depth, 30.0, small))
    last = estimates[-1]
    assert 1.15 < last.factor < 1.3
    assert abs(math.log(last.factor / 1.25)) < 2 * last.sigma and last.sigma < 0.14
    assert last.evidence == CAMERA_HEIGHT and not last.problem and last.age_s == 0.0
    assert max(b.factor / a.factor for a, b in itertools.pairwise(estimates)) <= 1.1**0.2 + 1e-9


def test_relative_depth_takes_the_first_evidence_at_once(small: Any) -> None:
    """A model without a unit may be off by any factor, which the filter of a metric one would refuse for 10 s."""
    depth, known = small.street(*small.HOUSES, small.CAR) / np.float32(6.0), FrameEvidence(0.0, 0.1, mount=MOUNT)
    assert MetricScale().estimate(depth, small.SMALL, known).factor == 1.0
    relative = MetricScale().estimate(depth, small.SMALL, known, metric=False)
    assert relative.factor == pytest.approx(6.0, rel=0.2)


def test_relative_depth_takes_the_first_evidence_at_once_also_after_it_started_again(small: Any) -> None:
    depth, scale = small.street(*small.HOUSES, small.CAR) / np.float32(6.0), MetricScale()
    first = scale.estimate(depth, small.SMALL, FrameEvidence(100.0, 0.1, mount=MOUNT), metric=False)
    looped = scale.estimate(depth, small.SMALL, FrameEvidence(50.0, 0.1, mount=MOUNT), metric=False)
    assert looped.factor == pytest.approx(first.factor, rel=1e-6)
    doubled = scale.estimate(depth * 2, small.SMALL, FrameEvidence(50.1, 0.1, mount=MOUNT), 2.0, metric=False)
    assert doubled.factor == pytest.approx(first.factor / 2, rel=0.02)


def test_points_and_a_range_are_two_sources(small: Any) -> None:
    """The Range asks for twice the depth, and is refused; the points count all the same."""
    exact = small.street(small.WALL)
    points, _ = finite_points(Projector(small.SMALL).project(exact).reshape(1, -1, 3))
    sensor = pose_from_angles((0.0, 0.0, 0.0, math.pi / 2, -math.pi / 2, 0.0))

    def estimate(cone_m: float) -> ScaleEstimate:
        measured = (MeasuredPoints(points[::20], np.eye(4)), MeasuredCone(cone_m, (0.1, 20.0), 0.05, sensor))
        return MetricScale().estimate(exact, small.SMALL, FrameEvidence(1.0, 0.2, measured=measured))

    torn, agreed = estimate(10.0), estimate(5.0)
    assert torn.evidence == POINTS and torn.age_s == 0.0 and torn.problem.startswith(f"{RANGE}: asks for")
    assert agreed.evidence == f"{POINTS}, {RANGE}" and agreed.problem == ""
    assert agreed.sigma < torn.sigma, "both count in one frame"


def test_depth_that_is_right_stays_as_it_is(small: Any, drive: Callable[..., list[ScaleEstimate]]) -> None:
    estimates = drive(repeated(small.street(*small.HOUSES, small.CAR), 20.0, small))
    assert all(0.98 < estimate.factor < 1.02 for estimate in estimates)


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        pytest.param(lambda s: s.street(s.WALL), "plane", id="wall"),
        pytest.param(lambda s: s.street(s.Box((-1.6, 1.6), (3, 12), (0.3, 4)), s.WALL), "plane", id="truck"),
        pytest.param(lambda s: s.street(*s.stairs(5.0, steps=30)), "plane", id="stairs"),
        pytest.param(lambda s: s.street(ground=s.Ground(0.1, 3.0)), "tilted", id="slope of 10 %"),
        pytest.param(lambda s: s.street(pitch_deg=4.5), "tilted", id="tilted car"),
        pytest.param(lambda s: s.street(ground=None), "horizon", id="no ground"),
    ],
)
def test_wrong_evidence_alone_leaves_depth_exactly_as_it_was(
    small: Any, drive: Callable[..., list[ScaleEstimate]], scene: Callable[[Any], np.ndarray], reason: str
) -> None:
    estimates = drive(repeated(scene(small), 5.0, small, noise=0.02))
    assert {estimate.factor for estimate in estimates} == {1.0}
    assert estimates[-1].evidence == "" and estimates[-1].age_s is None
    assert any(reason in estimate.problem for estimate in estimates)


@pytest.mark.parametrize(
    "scenery",
    [
        pytest.param(lambda s, t: s.street(*s.HOUSES, ground=s.Ground(0.05, max(40 - 4 * t, 3.0))), id="slope of 5 %"),
        pytest.param(lambda s, t: s.street(*s.HOUSES, pitch_deg=2.5 if 2 < t < 5 else 0.0), id="braking"),
        pytest.param(lambda s, t: s.street(*s.stairs(max(30 - 3 * t, 4.0), steps=20)), id="stairs"),
        pytest.param(
            lambda s, t: s.street(s.Box((-1.3, 1.3), (max(25 - 3 * t, 5.5), 60), (0.4, 4)), *s.HOUSES), id="truck"
        ),
    ],
)
def test_what_comes_up_on_a_drive_does_not_pull_the_scale_away(
    small: Any, drive: Callable[..., list[ScaleEstimate]], scenery: Callable[[Any, float], np.ndarray]
) -> None:
    """Four seconds of plain street, then ten seconds in which something comes up."""
    level = small.street(*small.HOUSES, small.CAR)
    before = list(repeated(level, 4.0, small, noise=0.01))
    views = [scenery(small, second) for second in range(10)]
    coming = [small.noisy(views[index // HZ], 0.01, index, patch=8) for index in range(10 * HZ)]
    estimates = drive([*before, *coming])
    assert all(abs(estimate.factor - 1) < 0.04 for estimate in estimates), max(
        abs(estimate.factor - 1) for estimate in estimates
    )


def test_ranges_and_height_together_and_each_alone(small: Any, drive: Callable[..., list[ScaleEstimate]]) -> None:
    exact = small.street(*small.HOUSES, small.CAR)
    points, _ = finite_points(Projector(small.SMALL).project(exact).reshape(1, -1, 3))
    measured = [MeasuredPoints(points[::20], np.eye(4))]
    depth = exact / np.float32(1.2)
    both = drive(repeated(depth, 8.0, small), measured=measured)
    ranges = drive(repeated(depth, 8.0, small), measured=measured, mount=None)
    assert both[-1].evidence == f"{CAMERA_HEIGHT}, {POINTS}" and ranges[-1].evidence == POINTS
    for estimates in (both, ranges):
        assert estimates[-1].factor == pytest.approx(1.2, rel=0.01) and estimates[-1].sigma < 0.04


def test_each_missing_thing_is_said(small: Any) -> None:
    depth = small.street()
    known = FrameEvidence(0.0, 0.1, "no transform", "no cloud")
    estimate = MetricScale().estimate(depth, small.SMALL, known)
    assert estimate.problem == "camera height: no transform; ranges: no cloud"
    estimate = MetricScale().estimate(depth, None, FrameEvidence(0.0, 0.1, MOUNT, ()))
    assert estimate.problem.count("needs the camera's intrinsics") == 2 and estimate.factor == 1.0
    assert MetricScale().estimate(depth, small.SMALL, FrameEvidence(0.0, 0.1)).problem == ""


def test_a_changed_base_and_a_jump_back_start_anew(small: Any, drive: Callable[..., list[ScaleEstimate]]) -> None:
    depth = small.street(*small.HOUSES) / np.float32(1.2)
    for again in ({"base": 0.5}, {"known": FrameEvidence(1.0, 0.1)}):
        scale = MetricScale()
        assert drive(repeated(depth, 10.0, small), scale)[-1].factor > 1.05
        arguments = {"known": FrameEvidence(10.0, 0.1), "base": 1.0, **again}
        assert scale.estimate(depth, small.SMALL, **arguments).factor == 1.0


def test_a_focal_length_that_autofocus_changes_a_little_is_no_new_base(small: Any) -> None:
    depth, scale = small.street(*small.HOUSES) / np.float32(1.2), MetricScale()
    for index, noisy in enumerate(repeated(depth, 10.0, small)):
        known = FrameEvidence(index / HZ, 0.1, MOUNT)
        estimate = scale.estimate(noisy, small.SMALL, known, base=1.0 + 0.002 * (index % 2))
    assert estimate.factor > 1.05


def test_cameras_have_scales_of_their_own(small: Any, drive: Callable[..., list[ScaleEstimate]]) -> None:
    depth = small.street(*small.HOUSES)
    near, far = MetricScale(), MetricScale()
    assert drive(repeated(depth / np.float32(1.2), 10.0, small), near)[-1].factor > 1.05
    assert drive(repeated(depth * np.float32(1.2), 10.0, small), far)[-1].factor < 0.95
