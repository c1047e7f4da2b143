from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.ground_plane import (
    GroundPlane,
    NoGround,
    fit_ground_plane,
    up_vector,
)

NAN = math.nan
PLANE = GroundPlane((0.0, -1.0, 0.0), 1.65, 0.01, 900, 0.9, 0.01)


@pytest.fixture
def fitted(scenes: Any) -> Callable[..., GroundPlane]:
    def fit(depth: np.ndarray, **options: Any) -> GroundPlane:
        plane = fit_ground_plane(depth, scenes.CAMERA, **options)
        assert isinstance(plane, GroundPlane), plane
        return plane

    return fit


@pytest.mark.parametrize(("pitch", "roll", "height"), [(0, 0, 1.65), (3, 0, 1.2), (-2, 2, 2.0), (4, -4, 0.5)])
def test_exact_ground_gives_its_height_and_normal(
    scenes: Any, fitted: Callable[..., GroundPlane], pitch: float, roll: float, height: float
) -> None:
    plane = fitted(scenes.street(*scenes.HOUSES, scenes.CAR, height=height, pitch_deg=pitch, roll_deg=roll))
    assert plane.height_m == pytest.approx(height, rel=1e-4)
    np.testing.assert_allclose(plane.normal, up_vector(roll, pitch), atol=1e-4)
    assert plane.tilt_deg == pytest.approx(math.hypot(pitch, roll), abs=0.05)
    assert plane.inlier_share > 0.4 and plane.inliers > 300 and plane.residual_std < 0.003


def test_a_camera_that_looks_far_down_finds_the_ground_when_told_so(
    scenes: Any, fitted: Callable[..., GroundPlane]
) -> None:
    depth = scenes.street(pitch_deg=25, height=0.4)
    assert fit_ground_plane(depth, scenes.CAMERA) is NoGround.NO_PLANE
    assert fitted(depth, up=up_vector(0, 25)).height_m == pytest.approx(0.4, rel=1e-4)


def test_up_vectors_worked_out_by_hand() -> None:
    np.testing.assert_allclose(up_vector(0, 0), (0, -1, 0), atol=1e-12)
    # Looking straight down, the picture's upper edge is ahead, and up is behind the camera.
    np.testing.assert_allclose(up_vector(0, 90), (0, 0, -1), atol=1e-12)
    # Turned clockwise by a quarter, the picture's right is the world's down.
    np.testing.assert_allclose(up_vector(90, 0), (-1, 0, 0), atol=1e-12)


def test_the_height_scales_with_depth_and_nothing_else_changes(scenes: Any, fitted: Callable[..., GroundPlane]) -> None:
    depth = scenes.noisy(scenes.street(*scenes.HOUSES), 0.02)
    once, thrice = fitted(depth), fitted(depth * np.float32(3))
    assert thrice.height_m == pytest.approx(3 * once.height_m, rel=1e-4)
    assert (thrice.inliers, thrice.inlier_share) == (once.inliers, once.inlier_share)
    np.testing.assert_allclose(thrice.normal, once.normal, atol=1e-5)


def test_the_same_map_gives_the_same_plane(scenes: Any, fitted: Callable[..., GroundPlane]) -> None:
    depth = scenes.noisy(scenes.street(*scenes.HOUSES, scenes.CAR), 0.03)
    assert fitted(depth) == fitted(depth.copy())


def test_errors_in_patches_are_of_the_stated_size(scenes: Any, fitted: Callable[..., GroundPlane]) -> None:
    exact, errors = scenes.street(*scenes.HOUSES, scenes.CAR), []
    for seed in range(40):
        plane = fitted(scenes.noisy(exact, 0.03, seed, patch=40))
        errors.append((plane.height_m - 1.65) / plane.height_std_m)
    assert 0.5 < np.std(errors) < 1.6 and abs(np.mean(errors)) < 0.6


def test_a_sparse_map_is_enough(scenes: Any, fitted: Callable[..., GroundPlane]) -> None:
    depth = scenes.street(*scenes.HOUSES)
    depth[np.random.default_rng(0).random(depth.shape) > 0.03] = NAN
    assert fitted(depth).height_m == pytest.approx(1.65, rel=1e-3)


def test_what_stands_ahead_changes_nothing_while_ground_is_in_view(
    scenes: Any, fitted: Callable[..., GroundPlane]
) -> None:
    assert fitted(scenes.street(scenes.TRUCK, *scenes.HOUSES)).height_m == pytest.approx(1.65, rel=1e-3)
    assert fitted(scenes.street(*scenes.stairs(12.0))).height_m == pytest.approx(1.65, rel=0.01)


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(lambda s: s.street(s.WALL), id="wall"),
        pytest.param(lambda s: s.street(s.Box((-1.6, 1.6), (3, 12), (0.3, 4)), s.WALL), id="truck close ahead"),
        pytest.param(lambda s: s.street(*s.stairs(5.0, steps=30)), id="stairs"),
        pytest.param(lambda s: s.street(ground=None), id="nothing"),
        pytest.param(lambda s: s.street(ground=s.Ground(slope=0.3, start=1.0)), id="ramp"),
        pytest.param(lambda s: s.street(pitch_deg=20), id="looks down"),
        pytest.param(lambda s: s.street(pitch_deg=-16), id="looks up"),
        pytest.param(lambda s: np.full((188, 621), 20.0, np.float32), id="flat map"),
    ],
)
def test_what_is_no_ground_is_refused(scenes: Any, scene: Callable[[Any], np.ndarray]) -> None:
    depth = scene(scenes)
    for seen in (depth, scenes.noisy(depth, 0.02), scenes.noisy(depth, 0.03, patch=30)):
        plane = fit_ground_plane(seen, scenes.CAMERA)
        assert isinstance(plane, NoGround), plane


@pytest.mark.parametrize("pitch", [50, 75, 85])
def test_a_camera_that_looks_down_steeply_finds_the_floor(scenes: Any, pitch: float) -> None:
    """All of it is about as far away, as in a band of a wall; but a wall is not what such a camera looks at."""
    up = up_vector(0, pitch)
    plane = fit_ground_plane(scenes.street(height=0.5, pitch_deg=pitch), scenes.CAMERA, up=up)
    assert isinstance(plane, GroundPlane) and plane.height_m == pytest.approx(0.5, rel=1e-3)


def test_each_reason_is_given(scenes: Any) -> None:
    level = scenes.street(*scenes.HOUSES, scenes.CAR)
    table = scenes.street(scenes.Box((-3, 1.4), (1.2, 14.0), (0.9, 1.0)))
    band = level.copy()
    band[:130] = band[145:] = NAN
    results = {
        "view": fit_ground_plane(level, scenes.CAMERA, up=up_vector(0, -60)),
        "depth": fit_ground_plane(scenes.street(ground=None), scenes.CAMERA),
        "plane": fit_ground_plane(scenes.street(scenes.WALL), scenes.CAMERA),
        "small": fit_ground_plane(level, scenes.CAMERA, min_share=0.99),
        "band": fit_ground_plane(band, scenes.CAMERA, min_share=0.0),
        "table": fit_ground_plane(table, scenes.CAMERA),
    }
    assert results == {
        "view": NoGround.OUT_OF_VIEW,
        "depth": NoGround.NO_DEPTH,
        "plane": NoGround.NO_PLANE,
        "small": NoGround.TOO_SMALL,
        "band": NoGround.TOO_SHORT,
        "table": NoGround.UNDERCUT,
    }


def test_the_plane_of_scaled_depth_is_the_scaled_plane(scenes: Any, fitted: Callable[..., GroundPlane]) -> None:
    depth = scenes.street(*scenes.HOUSES, scenes.CAR, pitch_deg=2)
    plane, scaled = fitted(depth), fitted(depth * np.float32(1.3))
    np.testing.assert_allclose(scaled.normal, plane.scaled(1.3).normal, atol=1e-6)
    assert plane.scaled(1.3).height_m == pytest.approx(scaled.height_m, rel=1e-5)
    assert plane.scaled(1.3).height_std_m == pytest.approx(scaled.height_std_m, rel=1e-2)
    assert plane.scaled(1.3).residual_std == plane.residual_std


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"up": (0, 0, 0)}, "not all 0"),
        ({"up": (0, 1)}, "three finite numbers"),
        ({"tolerance_deg": 0.0}, "tolerance_deg"),
        ({"min_slope": 0.0}, "min_slope"),
        ({"min_share": 1.5}, "min_share"),
    ],
)
def test_bad_arguments_are_named(scenes: Any, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        fit_ground_plane(scenes.street(), scenes.CAMERA, **options)


def test_bad_maps_are_named(scenes: Any) -> None:
    with pytest.raises(InputError, match="camera's shape"):
        fit_ground_plane(np.ones((3, 4), np.float32), scenes.CAMERA)
    with pytest.raises(InputError, match="float32 metres"):
        fit_ground_plane(np.ones((188, 621), np.uint16), scenes.CAMERA)
