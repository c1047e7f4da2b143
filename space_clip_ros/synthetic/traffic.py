"""Parked cars and moving traffic."""

from __future__ import annotations

import numpy as np

from space_clip_ros.synthetic import cars, people, vehicles
from space_clip_ros.synthetic.layouts import AVENUE, CITY, HIGHWAY, QUIET, WOODS
from space_clip_ros.synthetic.mesh import Mesh
from space_clip_ros.synthetic.road_plan import RoadPlan
from space_clip_ros.synthetic.scene import Mover, Scene


def add_parked_cars(scene: Scene, plan: RoadPlan) -> None:
    """Add cars parked along the kerb."""
    rng = scene.rng
    if plan.shoulder < 1.6:
        return
    for side in (-1, 1):
        share, s = rng.uniform(*plan.layout.parked), rng.uniform(0, 8)
        while s < scene.road.length:
            if rng.random() < share and scene.road.is_free(s - 5, s + 5):
                yaw = 0.0 if side < 0 or rng.random() < 0.2 else np.pi
                scene.place(
                    cars.car(scene.atlas, rng),
                    s,
                    side * (plan.half_width - 1.05 + rng.normal(0, 0.08)),
                    yaw + rng.normal(0, 0.02),
                )
            s += rng.uniform(5.2, 7.0)


def add_traffic(scene: Scene, plan: RoadPlan, ego_lane: int) -> None:
    """Fill every lane with vehicles. A lane has one speed, ours that of the ego car, so that nobody collides."""
    rng, ego = scene.rng, scene.ego
    jam = plan.layout in (AVENUE, CITY) and rng.random() < 0.3
    heavy = rng.uniform(0, 0.3) if plan.layout not in (*QUIET, WOODS) else 0.05
    for lane in range(plan.same + plan.opposite):
        forward = lane < plan.same
        distance = rng.uniform(7, 11) if jam and forward else rng.uniform(*plan.layout.traffic)
        speed, s = ego.speed * rng.uniform(0.8, 1.2) * (1 if forward else -1), rng.uniform(0, 40)
        if lane == ego_lane:
            speed, s = ego.speed, ego.s + rng.uniform(7, 12) + rng.exponential(distance * 0.6)
            if scene.varied:
                s = _add_leader(scene, plan.lane_center(lane), s)
        # Oncoming traffic has to last until the drive ends.
        end = scene.road.length + (0.0 if forward else abs(speed) * 60)
        while s < end:
            mesh = _vehicle(scene, heavy)
            reach = float(np.ptp(mesh.corners[..., 0]))
            s += reach / 2
            scene.movers.append(Mover(mesh, s, plan.lane_center(lane) + rng.normal(0, 0.15), speed))
            s += reach / 2 + rng.uniform(1.5, 3) + rng.exponential(max(distance - 5, 1.0))
    if rng.random() < 0.4 and plan.layout is not HIGHWAY:
        rider = people.cyclist(scene.atlas, rng) if scene.varied else vehicles.person(scene.atlas, rng, cycling=True)
        scene.movers.append(Mover(rider, ego.s + rng.uniform(8, 50), -plan.half_width + 0.5, ego.speed * 0.8))


def _add_leader(scene: Scene, t: float, s: float) -> float:
    """Sometimes put a large vehicle close ahead or leave the lane free for a while; return where traffic continues."""
    rng, ego = scene.rng, scene.ego
    draw = rng.random()
    if draw < 0.35:
        return ego.s + rng.uniform(40, 160)
    if draw > 0.6:
        return s
    make = (vehicles.lorry, vehicles.lorry, vehicles.bus, cars.van, cars.van, cars.car)[rng.integers(6)]
    mesh = make(scene.atlas, rng)
    reach = float(np.ptp(mesh.corners[..., 0]))
    middle = ego.s + rng.uniform(4.0, 9.0) + reach / 2
    # It pulls away, so that later frames show the road behind it.
    speed = ego.speed * rng.uniform(1.0, 1.4) + rng.uniform(0, 1)
    scene.movers.append(Mover(mesh, middle, t + rng.normal(0, 0.2), speed))
    return middle + reach / 2 + rng.uniform(60, 150)


def _vehicle(scene: Scene, heavy: float) -> Mesh:
    draw = scene.rng.random()
    if draw < heavy * 0.7:
        return vehicles.lorry(scene.atlas, scene.rng)
    return (vehicles.bus if draw < heavy else cars.car)(scene.atlas, scene.rng)
