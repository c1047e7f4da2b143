from __future__ import annotations

import itertools

import numpy as np
import pytest

from space_clip_ros.synthetic.layouts import LAYOUTS
from space_clip_ros.synthetic.road import Crossing, Edge, Road
from space_clip_ros.synthetic.road_plan import random_crossings, random_plan
from space_clip_ros.synthetic.scene_builder import build_scene

SECTION = (
    Edge(-20, 0.0, "grass"),
    Edge(-4, 0.0, "road", 0.0),
    Edge(4, 0.0, "kerb"),
    Edge(4.01, 0.1, "grass"),
    Edge(20, 0.1),
)


def make(bend: float = 0.0, slope: float = 0.0, crossings: tuple[Crossing, ...] = ()) -> Road:
    return Road(np.random.default_rng(0), 200.0, SECTION, bend=bend, slope=slope, relief=0.0, crossings=crossings)


def test_straight_level_road_runs_along_x() -> None:
    road = make()
    np.testing.assert_allclose(road.point(50.0, 2.0, 0.3), (50, 2, 0.3))
    np.testing.assert_allclose(road.ground(50.0, 10.0), (50, 10, 0.1))
    assert road.slope(100.0) == 0.0


def test_curve_keeps_lengths_and_right_angles() -> None:
    road = make(bend=0.01)
    s = np.arange(0, 190.0)
    points = road.point(s, 0.0)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(steps, 1.0, atol=0.01)
    across = road.point(80.0, 3.0) - road.point(80.0, -3.0)
    assert np.linalg.norm(across) == pytest.approx(6.0)
    along = road.point(80.5, 0.0) - road.point(79.5, 0.0)
    assert abs(across @ along) < 0.1


def test_kerb_goes_down_where_a_side_road_comes_in() -> None:
    road = make(crossings=(Crossing(80.0, 92.0),))
    assert road.ground(86.0, 10.0)[2] == 0.0
    assert road.ground(60.0, 10.0)[2] == pytest.approx(0.1)
    assert road.is_free(60, 79)
    assert not road.is_free(70, 81)


@pytest.mark.parametrize("name", LAYOUTS)
def test_plans_have_edges_in_order_and_lanes_on_the_road(name: str) -> None:
    for seed in range(20):
        plan = random_plan(LAYOUTS[name], np.random.default_rng(seed))
        edges = [edge.t for edge in plan.section]
        assert edges == sorted(edges)
        assert edges[0] == pytest.approx(-edges[-1])
        assert all(edge.texture for edge in plan.section[:-1])
        lanes = [plan.lane_center(index) for index in range(plan.same + plan.opposite)]
        assert all(abs(lane) + plan.lane_width / 2 <= plan.half_width + 1e-9 for lane in lanes)


def test_crossings_do_not_overlap() -> None:
    crossings = random_crossings(LAYOUTS["city"], np.random.default_rng(2), 1000.0)
    assert crossings
    assert all(a.end < b.start for a, b in itertools.pairwise(crossings))
    assert random_crossings(LAYOUTS["country"], np.random.default_rng(2), 1000.0) == []


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_scene_of_each_layout_is_well_formed_and_keeps_clear_of_the_ego_car(name: str) -> None:
    scene = build_scene(4, 2.0, name)
    for time in (0.0, 2.0):
        mesh = scene.mesh(time)
        assert np.isfinite(mesh.corners).all()
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-6)
        pose = scene.camera_pose(time)
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
        ego = scene.ego.s + scene.ego.speed * time
        gaps = [
            mover.s + mover.speed * time - ego
            for mover in scene.movers
            if abs(mover.t - scene.ego.t) < 1.2 and mover.speed > 3 and mover.s > scene.ego.s
        ]
        assert all(gap > 4 for gap in gaps)
