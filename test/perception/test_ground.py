"""The ground from frame to frame: fitted, smoothed, held, replaced by the mount, or none with a reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from space_clip_ros.geometry.ground_plane import GroundPlane, fit_ground_plane, up_vector
from space_clip_ros.perception.camera_mount import CameraMount
from space_clip_ros.perception.ground import Ground, GroundSource, GroundTracker

MAX_AGE_S = 2.0


@pytest.fixture
def nothing(scenes: Any) -> np.ndarray:
    return np.full((scenes.CAMERA.height, scenes.CAMERA.width), np.nan, np.float32)


def updated(scenes: Any, tracker: GroundTracker, depth: np.ndarray, stamp: float | None, **mount: Any) -> Ground:
    known = CameraMount(**mount)
    plane = fit_ground_plane(depth, scenes.CAMERA, up=known.up)
    return tracker.update(plane, stamp, MAX_AGE_S, known if mount else None)


def height(ground: Ground) -> float:
    assert ground.plane is not None
    return ground.plane.height_m


def test_a_frame_with_ground_gives_its_plane(scenes: Any) -> None:
    ground = updated(scenes, GroundTracker(), scenes.street(), 7.0)
    assert ground.source is GroundSource.FITTED and ground.problem == "" and ground.age_s == 0.0
    assert height(ground) == pytest.approx(1.65, rel=1e-3)
    assert ground.interval_s == 0.0


def test_without_any_ground_there_is_none_and_a_reason(scenes: Any, nothing: np.ndarray) -> None:
    ground = updated(scenes, GroundTracker(), nothing, 7.0)
    assert ground.plane is None and ground.source is GroundSource.NONE
    assert ground.problem == "too little of the view below the horizon has depth"


def test_ground_is_held_until_it_is_too_old(scenes: Any, nothing: np.ndarray) -> None:
    tracker = GroundTracker()
    updated(scenes, tracker, scenes.street(), 7.0)
    held = updated(scenes, tracker, nothing, 8.5)
    assert held.source is GroundSource.HELD and held.age_s == pytest.approx(1.5) and held.problem
    assert height(held) == pytest.approx(1.65, rel=1e-3)
    assert held.interval_s == pytest.approx(1.5)
    assert updated(scenes, tracker, nothing, 9.1).plane is None


def test_frames_without_stamps_hold_it_too(scenes: Any, nothing: np.ndarray) -> None:
    tracker = GroundTracker()
    updated(scenes, tracker, scenes.street(), None)
    sources = [updated(scenes, tracker, nothing, None).source for _ in range(25)]
    assert sources[:19] == [GroundSource.HELD] * 19
    assert sources[-1] is GroundSource.NONE


def test_small_changes_are_smoothed(scenes: Any) -> None:
    tracker = GroundTracker()
    updated(scenes, tracker, scenes.street(height=1.65), 0.0)
    heights = [height(updated(scenes, tracker, scenes.street(height=1.75), 0.1 * step)) for step in range(1, 16)]
    assert 1.66 < heights[0] < 1.70
    assert heights == sorted(heights)
    assert heights[-1] == pytest.approx(1.75, abs=0.005)


def test_a_plane_that_jumps_is_not_the_ground_unless_it_stays(scenes: Any) -> None:
    tracker = GroundTracker()
    updated(scenes, tracker, scenes.street(height=1.65), 0.0)
    table = scenes.street(height=0.8)
    ground = updated(scenes, tracker, table, 0.1)
    assert ground.source is GroundSource.HELD and "not the ground of the frames before" in ground.problem
    assert height(ground) == pytest.approx(1.65, rel=1e-3)
    assert height(updated(scenes, tracker, table, 2.2)) == pytest.approx(0.8, rel=1e-3)


def test_a_known_height_takes_the_place_of_ground_that_was_never_seen(scenes: Any, nothing: np.ndarray) -> None:
    up = up_vector(0.0, 12.0)
    ground = updated(scenes, GroundTracker(), nothing, 7.0, up=up, height_m=0.6)
    assert ground.source is GroundSource.MOUNT and ground.problem
    assert height(ground) == pytest.approx(0.6)
    np.testing.assert_allclose(ground.plane.normal, up, atol=1e-9)
    # It may be off by a degree, and by 3 % of its height.
    assert ground.plane.tilt_std == pytest.approx(math.radians(1.0)) and ground.plane.residual_std == 0.0
    assert ground.plane.height_std_m == pytest.approx(0.018)


def test_a_plane_that_is_not_at_the_known_height_is_not_the_ground(scenes: Any) -> None:
    ground = updated(scenes, GroundTracker(), scenes.street(height=1.65), 7.0, height_m=0.5)
    assert ground.source is GroundSource.MOUNT
    assert ground.problem == "the level plane in view is not at the camera's height"
    assert height(updated(scenes, GroundTracker(), scenes.street(height=1.65), 7.0, height_m=0.6)) > 1.6


def test_a_known_direction_finds_the_ground_of_a_camera_that_looks_down(scenes: Any) -> None:
    depth = scenes.street(pitch_deg=25, height=0.4)
    assert updated(scenes, GroundTracker(), depth, 7.0).plane is None
    assert height(updated(scenes, GroundTracker(), depth, 7.0, up=up_vector(0, 25))) == pytest.approx(0.4, rel=1e-3)


def test_the_ground_is_forgotten_when_time_goes_back_or_the_camera_starts_again(
    scenes: Any, nothing: np.ndarray
) -> None:
    tracker = GroundTracker()
    updated(scenes, tracker, scenes.street(), 7.0)
    assert updated(scenes, tracker, nothing, 3.0).plane is None
    updated(scenes, tracker, scenes.street(), 3.1)
    tracker.reset()
    assert updated(scenes, tracker, nothing, 3.2).plane is None


def test_images_a_little_out_of_order_forget_nothing(scenes: Any, nothing: np.ndarray) -> None:
    tracker = GroundTracker()
    updated(scenes, tracker, scenes.street(), 7.0)
    swapped = updated(scenes, tracker, nothing, 6.999)
    assert swapped.source is GroundSource.HELD and swapped.interval_s == 0.0
    assert updated(scenes, tracker, nothing, 7.1).interval_s == pytest.approx(0.1)


def test_the_ground_follows_another_factor_on_depth_at_once(scenes: Any, nothing: np.ndarray) -> None:
    tracker, raw = GroundTracker(), fit_ground_plane(scenes.street(), scenes.CAMERA)
    none = fit_ground_plane(nothing, scenes.CAMERA)
    assert isinstance(raw, GroundPlane)
    tracker.update(raw, 7.0, MAX_AGE_S)
    halved = tracker.update(raw.scaled(0.5), 7.1, MAX_AGE_S, scale=0.5)
    assert halved.source is GroundSource.FITTED and height(halved) == pytest.approx(0.825, rel=1e-3)
    held = tracker.update(none, 7.2, MAX_AGE_S, scale=2.0)
    assert held.source is GroundSource.HELD and height(held) == pytest.approx(3.3, rel=1e-3)
    # With another lens the network's depth is another one.
    assert tracker.update(none, 7.3, MAX_AGE_S, scale=2.0, focal=1.3).source is GroundSource.NONE
