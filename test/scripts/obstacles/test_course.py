"""Courses: the ground is where its figures say, and obstacles stand on it."""

from __future__ import annotations

import numpy as np
import pytest

from obstacles.course import COURSES, KERB_M, SLOPE, CourseFrame, course_frame
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(312, 94, 180.0, 180.0, 152.0, 43.0)


@pytest.fixture(scope="module")
def frames() -> dict[str, CourseFrame]:
    return {course: course_frame(course, 3, CAMERA) for course in COURSES}


def from_camera_foot(frame: CourseFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return how far ahead pixels lie, and how high above the point below the camera, from depth alone."""
    v, u = np.indices(frame.depth.shape)
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(frame.depth.shape)], axis=-1)
    return rays @ frame.camera_to_level[0] * frame.depth, 1.65 + rays @ frame.camera_to_level[2] * frame.depth


def test_ground_has_no_height(frames: dict[str, CourseFrame]) -> None:
    for frame in frames.values():
        assert frame.ground.mean() > 0.1
        np.testing.assert_allclose(frame.height[frame.ground], 0.0, atol=1e-3)
        assert np.isnan(frame.depth).any() and not frame.ground[np.isnan(frame.depth)].any()


def test_flat_ground_is_level_and_the_slope_rises(frames: dict[str, CourseFrame]) -> None:
    for course, gradient in (("flat", 0.0), ("slope", SLOPE)):
        frame = frames[course]
        ahead, height = from_camera_foot(frame)
        expected = gradient * np.maximum(ahead - 12.0, 0.0)
        np.testing.assert_allclose(height[frame.ground], expected[frame.ground], atol=2e-3)


def test_pavements_lie_behind_kerbs(frames: dict[str, CourseFrame]) -> None:
    kerb = frames["kerb"]
    heights = from_camera_foot(kerb)[1][kerb.ground]
    assert heights.max() == pytest.approx(KERB_M, abs=2e-3)
    assert ((heights > 0.01) & (heights < KERB_M - 0.01)).mean() < 0.05


def test_stairs_stand_on_the_ground(frames: dict[str, CourseFrame]) -> None:
    added = ~frames["stairs"].ground & frames["flat"].ground
    heights = frames["stairs"].height[added]
    assert added.sum() > 500 and heights.min() > 0 and 1.3 < heights.max() < 9 * 0.17 + 1e-3


@pytest.mark.parametrize(("course", "seed"), [("hill", 0), ("flat", -1)])
def test_what_is_no_course_is_refused(course: str, seed: int) -> None:
    with pytest.raises(InputError, match="course must be one of flat, slope, kerb, stairs"):
        course_frame(course, seed, CAMERA)
