from __future__ import annotations

import numpy as np
import pytest

from space_clip_ros.synthetic.drive import KITTI_CAMERA, render
from space_clip_ros.synthetic.layouts import LAYOUTS
from space_clip_ros.synthetic.scene_builder import build_scene


@pytest.mark.parametrize("name", LAYOUTS)
def test_road_users_leave_the_ego_car_its_way(name: str) -> None:
    for seed in range(2):
        scene = build_scene(seed, 3.0, name, varied=True)
        for time in np.linspace(0, 3, 13):
            ego = scene.ego.s + scene.ego.speed * time
            for mover in scene.movers:
                near = abs(mover.s + mover.speed * time - ego) < 1.0
                lateral = abs(mover.t + mover.drift * time - scene.ego.t)
                assert not (near and lateral < 0.6), (seed, time, mover.s, mover.t, mover.speed, mover.drift)


def test_varied_scenes_repeat_and_differ_from_usual_ones() -> None:
    first, again, usual = build_scene(11, 1.0, varied=True), build_scene(11, 1.0, varied=True), build_scene(11, 1.0)
    np.testing.assert_array_equal(first.mesh(0.5).corners, again.mesh(0.5).corners)
    assert len(first.mesh(0.5)) != len(usual.mesh(0.5))
    assert first.light.soft_shadows
    assert not usual.light.soft_shadows


def test_varied_drives_show_people_close() -> None:
    near = 0
    for seed in range(30):
        scene = build_scene(seed, 0.0, "city", varied=True)
        near += sum(2 < mover.s - scene.ego.s < 25 and np.ptp(mover.mesh.corners) < 2.5 for mover in scene.movers)
    assert near > 60


def test_varied_pictures_have_exact_depth_up_to_the_ground() -> None:
    camera = KITTI_CAMERA.resized(310, 94)
    for seed, layout in enumerate(("woods", "old_town", "parking", "gardens")):
        scene = build_scene(seed, 0.0, layout, varied=True)
        rgb, depth = render(scene, scene.camera_pose(0.0), camera)
        assert rgb.std() > 20
        assert np.isfinite(depth[80:]).mean() > 0.99
        assert np.nanmin(depth) >= 0.3 - 1e-3


def test_gardens_stand_close_beside_the_road() -> None:
    camera, near = KITTI_CAMERA.resized(155, 47), {}
    for layout in ("gardens", "residential"):
        scenes = [build_scene(seed, 0.0, layout, varied=True) for seed in range(8)]
        depths = np.stack([render(scene, scene.camera_pose(0.0), camera)[1] for scene in scenes])
        sides = np.concatenate([depths[:, 10:34, :30], depths[:, 10:34, -30:]], axis=2)
        near[layout] = float((sides < 5.0).mean())
    assert near["gardens"] > 2.0 * near["residential"]
