from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.synthetic.drive import KITTI_CAMERA
from space_clip_ros.synthetic.rig import (
    FOCAL_RANGE,
    HEIGHT_RANGE_M,
    MAX_PITCH_RAD,
    MAX_ROLL_RAD,
    SHAPES,
    CameraRig,
    random_rig,
    random_shape,
)
from space_clip_ros.synthetic.scene import Ego
from space_clip_ros.synthetic.scene_builder import build_scene


def test_rigs_fill_their_ranges_and_repeat_by_seed() -> None:
    rigs = [random_rig(seed, KITTI_CAMERA) for seed in range(300)]
    assert rigs[5] == random_rig(5, KITTI_CAMERA)
    factors = np.array([rig.camera.fx / KITTI_CAMERA.fx for rig in rigs])
    heights = np.array([rig.height for rig in rigs])
    for values, (low, high) in ((factors, FOCAL_RANGE), (heights, HEIGHT_RANGE_M)):
        assert low <= values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high
    assert max(abs(rig.pitch) for rig in rigs) == pytest.approx(MAX_PITCH_RAD)
    assert max(abs(rig.roll) for rig in rigs) == pytest.approx(MAX_ROLL_RAD)
    assert all(rig.camera.fx == rig.camera.fy for rig in rigs)
    assert {(rig.camera.width, rig.camera.height) for rig in rigs} == {(1242, 375)}


def test_shapes_are_those_of_usual_cameras() -> None:
    cameras = [random_shape(seed, KITTI_CAMERA) for seed in range(40)]
    assert cameras[5] == random_shape(5, KITTI_CAMERA)
    assert {round(shape, 1) for shape in SHAPES} == {round(camera.width / camera.height, 1) for camera in cameras}
    assert all(
        np.degrees(2 * np.arctan(camera.width / 2 / camera.fx)) == pytest.approx(64, abs=0.1) for camera in cameras
    )


def test_a_higher_camera_that_looks_down_sees_the_road_nearer_at_the_middle() -> None:
    scene = build_scene(3, 0.0)
    level = scene.camera_pose(0.0)
    scene.ego = CameraRig(KITTI_CAMERA, height=2.15, pitch=0.05).mounted_on(scene.ego)
    pose = scene.camera_pose(0.0)
    assert pose[2, 3] - level[2, 3] == pytest.approx(0.5)
    assert np.arccos(pose[:3, 2] @ level[:3, 2]) == pytest.approx(0.05)
    assert pose[2, 2] < level[2, 2]


def test_the_cars_own_tilt_stays() -> None:
    mounted = CameraRig(KITTI_CAMERA, 1.4, 0.01, -0.02).mounted_on(Ego(40.0, 0.0, 5.0, pitch=0.02, roll=0.005))
    assert (mounted.height, mounted.pitch, mounted.roll) == pytest.approx((1.4, 0.03, -0.015))
