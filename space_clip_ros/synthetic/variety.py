"""Adds what only varied streets have: people, cyclists, vehicles and posts close to the camera, and tunnels."""

from __future__ import annotations

import numpy as np

from space_clip_ros.synthetic import cars, furniture, people, plants, vehicles
from space_clip_ros.synthetic.layouts import URBAN
from space_clip_ros.synthetic.mesh import Mesh
from space_clip_ros.synthetic.road_plan import RoadPlan
from space_clip_ros.synthetic.scene import Mover, Scene

_AHEAD_M = 60.0  # beyond the end of the drive, where things are still close enough to see
_CLEARANCE_M = 1.4  # between the middle of the ego car's path and those who have crossed it
_WALKING = (0.6, 2.2)


def add_variety(scene: Scene, plan: RoadPlan, duration: float) -> None:
    """Add close road users and street furniture along the ego car's way.

    Args:
        scene: the scene; it has its road, zones and traffic already.
        plan: the road's plan.
        duration: length of the drive, seconds.
    """
    urban = plan.layout in URBAN
    end = min(scene.ego.s + scene.ego.speed * duration + _AHEAD_M, scene.road.length - 10)
    _add_underpass(scene, plan, end)
    _add_posts(scene, plan, end, urban)
    _add_road_works(scene, plan, end)
    _add_people(scene, plan, end, urban)
    _add_two_wheelers(scene, plan)
    _add_crossing(scene, plan, duration, urban)
    if urban:
        _add_cars_askew(scene, plan, end)


def _add_posts(scene: Scene, plan: RoadPlan, end: float, urban: bool) -> None:
    """Add poles, signs, bollards, young trees, bicycles and kiosks near the kerb, some in rows."""
    rng, atlas = scene.rng, scene.atlas
    for side in (-1, 1):
        at, gap = scene.ego.s, float(np.exp(rng.uniform(np.log(3), np.log(25))))
        row = furniture.post(atlas, rng) if urban else furniture.delineator(atlas, rng)
        in_rows = rng.random() < (0.3 if urban else 0.6)
        spacing = rng.uniform(1.5, 4.0) if urban else rng.uniform(10, 25)
        for s in np.arange(at, end, spacing).tolist() if in_rows else ():
            if scene.road.is_free(s - 1, s + 1):
                scene.place(row, s, side * (plan.half_width + 0.4))
        while at < end:
            at += gap * rng.uniform(0.3, 1.7)
            t = side * (plan.half_width + rng.uniform(0.2, 3.0 if urban else 2.0))
            if not scene.road.is_free(at - 2, at + 2):
                continue
            draw = rng.random()
            if draw < 0.3:
                mesh = furniture.sign(atlas, rng)
            elif draw < 0.55:
                mesh = furniture.post(atlas, rng)
            elif draw < 0.65:
                mesh = furniture.lamp(atlas, rng, -side * rng.uniform(0.5, 2.5))
            elif draw < 0.75:
                height = rng.uniform(4, 9)
                mesh = plants.tall_tree(atlas, rng, height, 0.3 * height, 16)
            elif draw < 0.82 or not urban:
                mesh = furniture.bollard(atlas, rng)
            elif draw < 0.92:
                _add_parked_bicycles(scene, at, t)
                continue
            else:
                mesh = furniture.kiosk(atlas, rng)
            scene.place(mesh, at, t, 0.0 if side < 0 else np.pi)


def _add_parked_bicycles(scene: Scene, s: float, t: float) -> None:
    rng = scene.rng
    yaw = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.2)
    for k in range(int(rng.integers(1, 7))):
        scene.place(people.bicycle(scene.atlas, rng), s + 0.6 * k, t, yaw + rng.normal(0, 0.08))


def _add_road_works(scene: Scene, plan: RoadPlan, end: float) -> None:
    rng = scene.rng
    if rng.random() > 0.12:
        return
    start, side = rng.uniform(scene.ego.s + 5, end), rng.choice([-1, 1])
    for s in np.arange(start, start + rng.uniform(10, 40), rng.uniform(1.5, 4)).tolist():
        scene.place(furniture.barrier(scene.atlas, rng), s, side * (plan.half_width - rng.uniform(0, 0.5)))


def _add_people(scene: Scene, plan: RoadPlan, end: float, urban: bool) -> None:
    """Add people who walk or stand beside the road, alone and in groups."""
    rng, atlas = scene.rng, scene.atlas
    gap = float(np.exp(rng.uniform(np.log(6), np.log(60)))) if urban else 90.0
    at = scene.ego.s + rng.uniform(2, 8)
    while at < end:
        side, walking = rng.choice([-1, 1]), rng.random() < 0.7
        speed = rng.choice([-1, 1]) * rng.uniform(*_WALKING) if walking else 0.0
        edge = plan.half_width + rng.uniform(-0.3, max(plan.frontage - plan.half_width, 1.0))
        for _ in range(1 + int(rng.geometric(0.55)) if rng.random() < 0.4 else 1):
            mesh = people.pedestrian(atlas, rng, walking)
            mesh = mesh if walking else mesh.placed((0, 0, 0), rng.uniform(0, 2 * np.pi))
            s, t = at + rng.uniform(-1, 1), side * (edge + rng.uniform(0, 1.2))
            scene.movers.append(Mover(mesh, s, t, speed))
        at += gap * rng.uniform(0.3, 1.7)


def _add_two_wheelers(scene: Scene, plan: RoadPlan) -> None:
    """Add cyclists and motorcyclists at either edge of the road, unless another vehicle is there."""
    rng, ego = scene.rng, scene.ego
    for _ in range(int(rng.poisson(0.9))):
        make = people.cyclist if rng.random() < 0.7 else people.motorcyclist
        mesh, offset = make(scene.atlas, rng), rng.uniform(0.4, 1.4)
        s = ego.s + rng.uniform(4.5, 30)
        t, speed = -plan.half_width + offset, ego.speed
        if plan.opposite and rng.random() < 0.4:
            t, speed = plan.half_width - offset, -max(ego.speed * 0.6, 2.0)
        if all(abs(mover.s - s) > 4 or abs(mover.t - t) > 1.6 for mover in scene.movers):
            scene.movers.append(Mover(mesh, s, t, speed))


def _add_crossing(scene: Scene, plan: RoadPlan, duration: float, urban: bool) -> None:
    """Add people, cyclists and cars that cross the road ahead and leave the ego car's path before it comes."""
    rng, atlas = scene.rng, scene.atlas
    for _ in range(int(rng.poisson(2.0 if urban else 0.3))):
        near, size = rng.uniform(4, 25), int(rng.choice([1, 1, 1, 2, 3]))
        when, direction = rng.uniform(0, duration), rng.choice([-1, 1])
        pace = rng.uniform(*_WALKING)
        across = rng.uniform(-1, 1) * plan.half_width
        for _ in range(size):
            mesh = people.pedestrian(atlas, rng)
            near += rng.uniform(-0.4, 1.0)
            _cross(scene, mesh, when, near, across + rng.uniform(-0.8, 0.8), direction * pace)
    if rng.random() < 0.3:
        mesh = people.cyclist(atlas, rng)
        pace = rng.choice([-1, 1]) * rng.uniform(2, 5)
        _cross(scene, mesh, rng.uniform(0, duration), rng.uniform(6, 25), rng.uniform(-4, 4), pace)
    for crossing in scene.road.crossings:
        if rng.random() < 0.4:
            mesh = (cars.car if rng.random() < 0.8 else vehicles.lorry)(atlas, rng)
            t = rng.choice([-1, 1]) * (plan.half_width + rng.uniform(3.5, 20))
            scene.place(mesh, 0.5 * (crossing.start + crossing.end), t, rng.choice([-1, 1]) * np.pi / 2)


def _cross(scene: Scene, mesh: Mesh, when: float, near: float, across: float, pace: float) -> None:
    """Add a road user ``near`` metres ahead and ``across`` metres left at time ``when``, unless we would hit it."""
    ego = scene.ego
    # A road user who walks towards our path must first reach its middle.
    need = _CLEARANCE_M + abs(across) * (1 if across * pace < 0 else -1)
    if need > abs(pace) * near / max(ego.speed, 0.1):
        return
    t = ego.t + across - pace * when
    scene.movers.append(Mover(mesh, ego.s + ego.speed * when + near, t, 0.0, drift=pace))


def _add_cars_askew(scene: Scene, plan: RoadPlan, end: float) -> None:
    """Add cars at the kerb that stand at an angle: half on the pavement, pulling out, across a drive."""
    rng = scene.rng
    for _ in range(int(rng.poisson(0.6))):
        s, side = rng.uniform(scene.ego.s + 6, end), rng.choice([-1, 1])
        t = side * (plan.half_width + rng.uniform(0.8, 4.0))
        scene.place((cars.car if rng.random() < 0.8 else cars.van)(scene.atlas, rng), s, t, rng.uniform(0, 2 * np.pi))


def _add_underpass(scene: Scene, plan: RoadPlan, end: float) -> None:
    rng = scene.rng
    if rng.random() > 0.1:
        return
    length, s = rng.uniform(8, 50), rng.uniform(scene.ego.s + 8, end)
    if rng.random() < 0.6:
        # Its walls are straight: make it wide enough for the road's bend.
        ends = scene.road.point(np.array([s - length / 2, s + length / 2]), 0.0) - scene.road.point(s, 0.0)
        heading = float(scene.road.heading(s))
        bend = float(np.abs(ends[:, 1] * np.cos(heading) - ends[:, 0] * np.sin(heading)).max())
        half = plan.half_width + rng.uniform(0.8, 3.0) + bend
        scene.clear(s, length + 4, plan.half_width + 0.3, half + 22)
        scene.place(furniture.underpass(scene.atlas, rng, length, half), s, 0.0)
    else:
        scene.place(furniture.bridge(scene.atlas, rng, 60.0, 2 * plan.half_width), s, 0.0, rng.uniform(-0.4, 0.4))
