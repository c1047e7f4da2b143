"""What single frames say about their scale: exact scenes, scaled, bent, noisy, and ones without evidence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.cloud import Projector, finite_points
from space_clip_ros.geometry.ground_plane import GroundPlane, NoGround, fit_ground_plane, up_vector
from space_clip_ros.geometry.rigid import pose_from_angles
from space_clip_ros.perception.camera_mount import CameraMount
from space_clip_ros.perception.scale_evidence import (
    CAMERA_HEIGHT,
    Evidence,
    MeasuredCone,
    MeasuredPoints,
    NoEvidence,
    cone_evidence,
    ground_evidence,
    range_evidence,
)

MOUNT = CameraMount(1.65)
# A sensor with ROS's axes (x forward, y left, z up), 0.3 m behind and 0.5 m above the camera.
SENSOR = pose_from_angles((0.0, -0.5, -0.3, math.pi / 2, -math.pi / 2, 0.0))


def said(scenes: Any, depth: np.ndarray, mount: CameraMount = MOUNT) -> Evidence | NoEvidence | NoGround:
    plane = fit_ground_plane(depth, scenes.CAMERA, up=mount.up)
    return plane if isinstance(plane, NoGround) else ground_evidence(plane, depth, scenes.CAMERA, mount)


@pytest.fixture
def ground(scenes: Any) -> Callable[..., Evidence]:
    def evidence(depth: np.ndarray, mount: CameraMount = MOUNT) -> Evidence:
        evidence = said(scenes, depth, mount)
        assert isinstance(evidence, Evidence), evidence
        return evidence

    return evidence


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.5])
def test_the_ground_gives_the_factor_that_depth_was_divided_by(
    scenes: Any, ground: Callable[..., Evidence], factor: float
) -> None:
    depth = scenes.street(*scenes.HOUSES, scenes.CAR) / np.float32(factor)
    evidence = ground(depth)
    assert evidence.log_factor == pytest.approx(math.log(factor), abs=0.005)
    assert evidence.source == CAMERA_HEIGHT and evidence.tilt_deg == pytest.approx(0.0, abs=0.1)
    assert 0.02 < math.sqrt(evidence.variance) < 0.2


def test_a_mount_that_looks_down_is_taken_into_account(scenes: Any, ground: Callable[..., Evidence]) -> None:
    depth = scenes.street(*scenes.HOUSES, pitch_deg=15, roll_deg=3, height=0.8)
    evidence = ground(depth / np.float32(1.25), CameraMount(0.8, up_vector(3, 15)))
    assert evidence.log_factor == pytest.approx(math.log(1.25), abs=0.01)


def test_depth_that_draws_the_distance_in_is_judged_by_the_mount_and_is_less_certain(
    scenes: Any, ground: Callable[..., Evidence]
) -> None:
    exact = scenes.street(*scenes.HOUSES)
    bent = (exact ** np.float32(0.85)).astype(np.float32)
    evidence, straight = ground(bent), ground(exact)
    # At 8 m it is short by 0.31, at 25 m by 0.48; the plane's own height would say 0.16.
    assert 0.28 < evidence.log_factor < 0.4
    assert evidence.variance > 1.4 * straight.variance


def test_the_stated_error_covers_a_tilt_of_one_degree(scenes: Any, ground: Callable[..., Evidence]) -> None:
    for pitch in (-1.0, 1.0):
        evidence = ground(scenes.street(*scenes.HOUSES, pitch_deg=pitch))
        assert abs(evidence.log_factor) < 1.5 * math.sqrt(evidence.variance)


def test_the_more_a_planes_pitch_differs_from_the_mounts_the_less_certain_it_is(
    scenes: Any, ground: Callable[..., Evidence]
) -> None:
    spreads = [math.sqrt(ground(scenes.street(*scenes.HOUSES, pitch_deg=pitch)).variance) for pitch in (0, 1.5, 2.7)]
    assert spreads[0] < 0.15 and spreads[1] > 1.4 * spreads[0] and spreads[2] > 1.4 * spreads[1]


def test_ground_that_is_little_of_what_looks_down_says_nothing_about_the_scale(scenes: Any) -> None:
    depth = scenes.street()
    # All but a strip of the road stands 6 m ahead.
    depth[:, 220:] = np.fmin(depth[:, 220:], 6.0)
    plane = fit_ground_plane(depth, scenes.CAMERA)
    assert isinstance(plane, GroundPlane) and 0.25 < plane.inlier_share < 0.4
    evidence = said(scenes, depth)
    assert isinstance(evidence, NoEvidence) and "of what looks down is level ground" in evidence.reason


def test_a_correction_of_a_few_percent_is_left_out(scenes: Any, ground: Callable[..., Evidence]) -> None:
    depth = scenes.street(*scenes.HOUSES)
    factors = (0.92, 1.08, 1.15, 1.25)
    given = [ground(depth / np.float32(factor)).log_factor for factor in factors]
    assert given[:2] == [0.0, 0.0] and given[3] == pytest.approx(math.log(1.25), abs=0.01)
    assert 0.0 < given[2] < math.log(1.15), "between the two it grows"


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        pytest.param(lambda s: s.street(s.WALL), "level plane", id="wall"),
        pytest.param(lambda s: s.street(s.Box((-1.6, 1.6), (3, 12), (0.3, 4)), s.WALL), "level plane", id="truck"),
        pytest.param(lambda s: s.street(*s.stairs(5.0, steps=30)), "level plane", id="stairs"),
        pytest.param(lambda s: s.street(ground=s.Ground(0.1, 4.0)), "tilted by +5.7", id="slope of 10 %"),
        pytest.param(lambda s: s.street(pitch_deg=4.5), "tilted by +4.5", id="braking car"),
        pytest.param(lambda s: s.street(ground=None), "horizon", id="nothing"),
    ],
)
def test_what_is_no_level_ground_says_why_and_nothing_else(
    scenes: Any, scene: Callable[[Any], np.ndarray], reason: str
) -> None:
    for depth in (scene(scenes), scenes.noisy(scene(scenes), 0.03, patch=20)):
        assert isinstance(said(scenes, depth), NoEvidence | NoGround)
    exact = said(scenes, scene(scenes))
    assert isinstance(exact, NoEvidence | NoGround)
    assert reason in (exact.value if isinstance(exact, NoGround) else exact.reason)


def test_a_mount_needs_a_height(scenes: Any) -> None:
    with pytest.raises(InputError, match="above 0 metres, got 0"):
        said(scenes, scenes.street(), CameraMount())


def scanned(scenes: Any, depth: np.ndarray, every: int = 7) -> MeasuredPoints:
    """Return exact points of a scene in the sensor's frame."""
    points, _ = finite_points(Projector(scenes.CAMERA).project(depth).reshape(1, -1, 3))
    inverse = np.linalg.inv(SENSOR)
    in_sensor = points[::every] @ inverse[:3, :3].T + inverse[:3, 3]
    return MeasuredPoints(in_sensor.astype(np.float32), SENSOR)


@pytest.mark.parametrize("factor", [0.6, 1.0, 2.5])
def test_measured_points_give_the_factor(scenes: Any, factor: float) -> None:
    depth = scenes.street(*scenes.HOUSES, scenes.CAR)
    evidence = range_evidence(depth / np.float32(factor), scenes.CAMERA, scanned(scenes, depth))
    assert isinstance(evidence, Evidence)
    assert evidence.log_factor == pytest.approx(math.log(factor), abs=1e-3)
    assert math.sqrt(evidence.variance) == pytest.approx(0.025, abs=0.008)


def test_a_third_of_wrong_points_and_nan_change_little(scenes: Any) -> None:
    depth = scenes.street(*scenes.HOUSES, scenes.CAR)
    measured = scanned(scenes, depth)
    points = measured.points.copy()
    points[::3] *= 3.0
    points[1::50] = np.nan
    evidence = range_evidence(scenes.noisy(depth, 0.05), scenes.CAMERA, MeasuredPoints(points, SENSOR))
    assert isinstance(evidence, Evidence) and abs(evidence.log_factor) < 0.06


@pytest.mark.parametrize("share", [0.08, 0.2, 0.35])
def test_points_measured_far_too_near_do_not_pull_the_factor_down(scenes: Any, share: float) -> None:
    """The robot's own bumper, dust, a branch: by the weight of their ratio each would count for many."""
    depth = scenes.street(*scenes.HOUSES, scenes.CAR)
    measured = scanned(scenes, depth)
    near = np.random.default_rng(0).random(len(measured.points)) < share
    points = np.where(
        near[:, None], measured.points / np.linalg.norm(measured.points, axis=1)[:, None], measured.points
    )
    evidence = range_evidence(scenes.noisy(depth, 0.05), scenes.CAMERA, MeasuredPoints(points, np.array(SENSOR)))
    assert isinstance(evidence, Evidence) and abs(evidence.log_factor) < 0.03
    assert math.sqrt(evidence.variance) < 0.05


def test_points_that_do_not_agree_say_nothing(scenes: Any) -> None:
    depth = scenes.street(*scenes.HOUSES)
    points = scanned(scenes, depth).points
    points = points * np.exp(np.random.default_rng(0).uniform(-2, 2, (len(points), 1)))
    evidence = range_evidence(depth, scenes.CAMERA, MeasuredPoints(points, SENSOR))
    assert isinstance(evidence, NoEvidence) and "ask for about the same factor" in evidence.reason


@pytest.mark.parametrize("pitch", [45, 60, 80])
def test_a_camera_that_looks_down_steeply_knows_its_height_too(
    scenes: Any, ground: Callable[..., Evidence], pitch: float
) -> None:
    mount = CameraMount(0.5, up_vector(0, pitch))
    evidence = ground(scenes.street(height=0.5, pitch_deg=pitch) / np.float32(1.5), mount)
    assert evidence.log_factor == pytest.approx(math.log(1.5), abs=0.01)


def test_few_points_in_one_place_are_less_certain_than_many_in_many(scenes: Any) -> None:
    exact = scenes.street(*scenes.HOUSES)
    depth = scenes.noisy(exact, 0.1, patch=20)
    points = scanned(scenes, exact, every=3).points
    few = range_evidence(depth, scenes.CAMERA, MeasuredPoints(points[:40], SENSOR))
    many = range_evidence(depth, scenes.CAMERA, MeasuredPoints(points, SENSOR))
    assert isinstance(few, Evidence) and isinstance(many, Evidence) and few.variance > 3 * many.variance


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (np.empty((0, 3), np.float32), "no measured point"),
        (np.array([[-5.0, 0, 0]] * 50), "no measured point"),
        (np.full((50, 3), np.nan), "no measured point"),
        (np.array([[10.0, 0, -1.5]] * 5), "only 5"),
    ],
)
def test_points_that_say_nothing(scenes: Any, points: np.ndarray, reason: str) -> None:
    evidence = range_evidence(scenes.street(), scenes.CAMERA, MeasuredPoints(points, SENSOR))
    assert isinstance(evidence, NoEvidence) and reason in evidence.reason


# Sensors that look sideways, and up by 7 degrees, which is the sky.
SIDEWAYS = pose_from_angles((0, 0, 0, 0, 0, 0))
UPWARDS = SENSOR @ pose_from_angles((0, 0, 0, 0, -0.12, 0))


def test_ranges_that_ask_for_other_factors_near_and_far_are_less_certain(scenes: Any) -> None:
    depth = scenes.street(*scenes.HOUSES)
    measured = scanned(scenes, depth)
    bent = (depth / 10) ** np.float32(0.8) * 10
    straight, torn = (
        range_evidence(predicted, scenes.CAMERA, measured) for predicted in (depth, bent.astype(np.float32))
    )
    assert isinstance(straight, Evidence) and isinstance(torn, Evidence)
    assert straight.variance < 0.03**2 and torn.variance > 0.05**2


def cone(distance: float, angle: float = 0.2, pose: Any = SENSOR) -> MeasuredCone:
    return MeasuredCone(distance, (0.2, 30.0), angle, pose)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.4])
@pytest.mark.parametrize("angle", [0.0, 0.02, 0.2])
def test_a_range_sensor_gives_the_factor(scenes: Any, factor: float, angle: float) -> None:
    # A wall 7.3 m ahead of a sensor that is 0.3 m behind the camera.
    depth = scenes.street(scenes.Box((-50, 50), (7, 8), (-1, 9)))
    evidence = cone_evidence(depth / np.float32(factor), scenes.CAMERA, cone(7.3, angle))
    assert isinstance(evidence, Evidence)
    assert evidence.log_factor == pytest.approx(math.log(factor), abs=0.02)
    assert math.sqrt(evidence.variance) == pytest.approx(0.1)


def test_a_range_sensor_means_the_nearest_thing_in_its_cone(scenes: Any) -> None:
    wall, post = scenes.Box((-50, 50), (7, 8), (-1, 9)), scenes.Box((-0.3, 0.3), (4.0, 4.5), (0, 3))
    evidence = cone_evidence(scenes.street(wall, post), scenes.CAMERA, cone(4.3))
    assert isinstance(evidence, Evidence) and evidence.log_factor == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (cone(math.inf), "nothing within"),
        (cone(math.nan), "nothing within"),
        (cone(30.0), "nothing within"),
        (cone(0.1), "nothing within"),
        (cone(5.0, angle=1.5), "not wholly in view"),
        (cone(5.0, angle=math.nan), "field_of_view"),
        (cone(5.0, pose=SIDEWAYS), "does not look"),
        (cone(20.0, 0.05, UPWARDS), "no depth"),
    ],
)
def test_a_range_sensor_that_says_nothing(scenes: Any, measured: MeasuredCone, reason: str) -> None:
    evidence = cone_evidence(scenes.street(), scenes.CAMERA, measured)
    assert isinstance(evidence, NoEvidence) and reason in evidence.reason
