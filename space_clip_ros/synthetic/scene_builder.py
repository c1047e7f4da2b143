"""Builds a scene: a road of some kind, what lines it, and traffic."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from space_clip_ros.synthetic import furniture, people, plants, vehicles
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.building_textures import add_buildings
from space_clip_ros.synthetic.furniture_textures import add_furniture, add_more_furniture
from space_clip_ros.synthetic.ground_textures import SURFACES, add_ground, add_road
from space_clip_ros.synthetic.layouts import AVENUE, HIGHWAY, LAYOUTS, OLD_TOWN, URBAN, USUAL, VARIED
from space_clip_ros.synthetic.light import random_light, varied_light
from space_clip_ros.synthetic.mesh import DECAL, quads
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.people_textures import add_people
from space_clip_ros.synthetic.plant_textures import add_more_plants, add_plants
from space_clip_ros.synthetic.road import Road
from space_clip_ros.synthetic.road_plan import RoadPlan, random_crossings, random_plan
from space_clip_ros.synthetic.scene import Ego, Mover, Scene
from space_clip_ros.synthetic.sensor import random_sensor, varied_sensor
from space_clip_ros.synthetic.traffic import add_parked_cars, add_traffic
from space_clip_ros.synthetic.variety import add_variety
from space_clip_ros.synthetic.vehicle_textures import add_more_vehicles, add_vehicles

DRIVES_PER_ATLAS = 16
"""Number of consecutive seeds whose varied streets share textures, except the road's: painting them takes longer than
drawing a short drive."""

_TEXTURES = 0xA71A5  # keeps the textures' random numbers apart from the scene's
_ROAD_BEHIND_M, _ROAD_AHEAD_M = 40.0, 280.0
_USUAL_SHARES = (0.28, 0.3, 0.17, 0.08, 0.17)
_VARIED_SHARES = (0.2, 0.2, 0.1, 0.07, 0.11, 0.15, 0.11, 0.06)
_KERB_M = 0.5  # from the edge of the carriageway to what stands at the kerb


def build_scene(
    seed: int, duration: float, layout: str | None = None, speed: float | None = None, varied: bool = False
) -> Scene:
    """Return a random scene; the same arguments always build the same one.

    Args:
        seed: seed of everything random.
        duration: length of the drive, seconds.
        layout: a name in :data:`~space_clip_ros.synthetic.layouts.LAYOUTS`; None draws one by seed.
        speed: of the ego car, metres/second; None draws one by seed.
        varied: draw from more kinds of streets and weather, with tall trees, people with volume, and many road users
            and posts close to the camera.
    """
    rng = np.random.default_rng(seed)
    kinds, shares = (VARIED, _VARIED_SHARES) if varied else (USUAL, _USUAL_SHARES)
    name = layout or str(rng.choice([kind.name for kind in kinds], p=shares))
    kind = LAYOUTS[name]
    plan = random_plan(kind, rng)
    random_speed = rng.uniform(*kind.speed)  # always drawn, so that the later random numbers stay the same
    speed = random_speed if speed is None else speed
    length = _ROAD_BEHIND_M + speed * duration + _ROAD_AHEAD_M
    road = Road(
        rng,
        length,
        plan.section,
        bend=rng.uniform(*kind.bend),
        slope=rng.uniform(*kind.slope),
        relief=rng.uniform(*kind.relief),
        crossings=random_crossings(kind, rng, length),
    )
    lane = int(rng.integers(plan.same))
    ego = Ego(
        s=_ROAD_BEHIND_M,
        t=plan.lane_center(lane) + rng.normal(0, 0.2),
        speed=speed,
        # In some scenes the car is turning and looks across the street.
        yaw=rng.normal(0, np.radians(18.0 if rng.random() < 0.12 else 0.8)),
        pitch=np.radians(np.clip(rng.normal(0, 0.7), -1.5, 1.5)),
        roll=rng.normal(0, np.radians(0.5)),
    )
    atlas = _varied_atlas(seed // DRIVES_PER_ATLAS).copy() if varied or kind not in USUAL else _usual_atlas(rng)
    surface = "asphalt"
    if varied:
        paved = 0.6 if plan.layout is OLD_TOWN else 0.05
        surface = str(rng.choice(SURFACES, p=(0.95 - paved, paved, 0.05)))
    add_road(atlas, rng, 2 * plan.half_width, plan.markings, surface)
    light, sensor = (varied_light, varied_sensor) if varied else (random_light, random_sensor)
    scene = Scene(rng, atlas, road, light(rng), sensor(rng), ego, varied=varied)
    _add_zones(scene, plan)
    _add_furniture(scene, plan)
    add_parked_cars(scene, plan)
    _add_decals(scene, plan)
    add_traffic(scene, plan, lane)
    _add_background(scene, plan)
    if varied:
        add_variety(scene, plan, duration)
    return scene


def _usual_atlas(rng: Rng) -> Atlas:
    """Return textures of everything but the road, for the usual kinds of road."""
    atlas = Atlas()
    for add in (add_ground, add_plants, add_buildings, add_vehicles, add_furniture):
        add(atlas, rng)
    return atlas


@lru_cache(maxsize=1)
def _varied_atlas(number: int) -> Atlas:
    """Return textures of everything but the road, for all kinds of road; do not add to it."""
    rng = np.random.default_rng([number, _TEXTURES])
    atlas = _usual_atlas(rng)
    for add in (add_more_plants, add_more_vehicles, add_people):
        add(atlas, rng)
    add_more_furniture(atlas)
    return atlas


def _add_zones(scene: Scene, plan: RoadPlan) -> None:
    """Fill both sides of the road with zones, interrupted by side roads."""
    rng = scene.rng
    choices, weights = zip(*plan.layout.zones, strict=True)
    probabilities = np.asarray(weights) / sum(weights)
    for side in (-1, 1):
        at = 0.0
        while at < scene.road.length - 10:
            end = min(at + rng.uniform(40, 160), scene.road.length)
            blocking = [crossing for crossing in scene.road.crossings if at < crossing.end and crossing.start < end]
            if blocking:
                end = blocking[0].start
            if end - at > 8:
                zone = choices[rng.choice(len(choices), p=probabilities)]
                zone(scene, side, at, end - 2, plan.frontage)
            at = blocking[0].end + 2 if blocking else end


def _add_furniture(scene: Scene, plan: RoadPlan) -> None:
    for side in (-1, 1):
        _add_kerbside(scene, plan, side)
    _add_traffic_lights(scene, plan)
    _add_bridges(scene, plan)


def _add_kerbside(scene: Scene, plan: RoadPlan, side: int) -> None:
    """Add lamps, signs, street trees, guard rails and pedestrians at the kerb of one side (+1 left, -1 right)."""
    rng, atlas, road = scene.rng, scene.atlas, scene.road
    t = side * (plan.half_width + _KERB_M)
    trees, lamps = rng.random() < plan.layout.street_trees, rng.random() < 0.6
    rail = rng.random() < plan.layout.rails
    spacing, size = rng.uniform(8, 25), rng.uniform(5, 11)
    for s in np.arange(rng.uniform(0, 20), road.length, 4.0).tolist():
        if not road.is_free(s - 3, s + 3):
            continue
        if rail:
            scene.place(furniture.guard_rail(atlas, 4.0), s, side * (plan.half_width + 0.35))
        if trees and s % spacing < 4:
            tree = plants.tree(atlas, rng, size * rng.uniform(0.8, 1.2))
            scene.place(tree, s, t + side * 0.6, rng.uniform(0, 6))
        if lamps and s % 32 < 4:
            scene.place(furniture.lamp(atlas, rng, -side * rng.uniform(0.5, 2.0)), s + 1, t)
        if rng.random() < 0.05:
            make = (furniture.sign, furniture.bollard, furniture.sign, furniture.board)[rng.integers(4)]
            scene.place(make(atlas, rng), s + 2, t + side * rng.uniform(0.0, 0.8), 0.0 if side < 0 else np.pi)
        if plan.layout in URBAN and rng.random() < 0.08:
            walker = people.pedestrian(atlas, rng) if scene.varied else vehicles.person(atlas, rng)
            scene.movers.append(Mover(walker, s, t + side * rng.uniform(0, 2), rng.choice([-1.4, 1.4])))


def _add_traffic_lights(scene: Scene, plan: RoadPlan) -> None:
    for crossing in scene.road.crossings:
        if scene.rng.random() < 0.4:
            light = furniture.traffic_light(scene.atlas, float(scene.rng.choice([0.0, 3.0, 4.5])))
            scene.place(light, crossing.start - 2, -plan.half_width - _KERB_M)


def _add_bridges(scene: Scene, plan: RoadPlan) -> None:
    """Add bridges and sign gantries across wide roads."""
    rng, atlas, road = scene.rng, scene.atlas, scene.road
    if plan.layout not in (HIGHWAY, AVENUE):
        return
    for _ in range(int(road.length / 200)):
        s = rng.uniform(60, road.length - 30)
        if rng.random() < 0.5:
            scene.place(furniture.bridge(atlas, rng, 60.0, 2 * plan.half_width), s, 0.0, rng.uniform(-0.3, 0.3))
        elif plan.layout is HIGHWAY:
            scene.place(furniture.gantry(atlas, rng, plan.half_width + 0.8, -plan.half_width - 0.8), s, 0.0)


def _add_decals(scene: Scene, plan: RoadPlan) -> None:
    """Add crosswalks, stop lines, arrows, manholes, patches and stains."""
    rng, atlas = scene.rng, scene.atlas

    def decal(name: str, s: float, t: float, length: float, width: float) -> None:
        corners = [(0, -width / 2, 0), (0, width / 2, 0), (length, width / 2, 0), (length, -width / 2, 0)]
        uv = [(1, 1), (0, 1), (0, 0), (1, 0)]
        scene.place(quads(corners[::-1], atlas.index(name), uv[::-1], kind=DECAL), s, t)

    for crossing in scene.road.crossings:
        if rng.random() < 0.35:
            decal("stripes", crossing.start - 5, 0.0, 3.0, 2 * plan.half_width)
        if rng.random() < 0.5:
            decal("line", crossing.start - 1.5, plan.lane_center(0), 0.4, plan.lane_width)
        if plan.same > 1 and rng.random() < 0.6:
            for lane in range(plan.same):
                decal("arrow", crossing.start - 16, plan.lane_center(lane), 4.5, 1.2)
    for _ in range(int(scene.road.length / rng.uniform(8, 40))):
        name = str(rng.choice(["manhole", "patch", "stain"]))
        length, width = (0.7, 0.7) if name == "manhole" else rng.uniform(0.5, 5, 2)
        decal(name, rng.uniform(0, scene.road.length - 6), rng.uniform(-0.8, 0.8) * plan.half_width, length, width)


def _add_background(scene: Scene, plan: RoadPlan) -> None:
    """Add distant trees along the terrain's edges and at the road's end, so that no view ends in empty space."""
    rng, road = scene.rng, scene.road
    height = rng.uniform(5, 16)
    edge = max(edge.t for edge in plan.section) - 6
    for side in (-1, 1):
        for s in np.arange(10, road.length - 20, 40.0).tolist():
            mesh = plants.forest_edge(scene.atlas, rng, 44.0, height * rng.uniform(0.6, 1.3), 4.0).placed(
                (22, 0, 0), 0.0
            )
            scene.place_facing_road(mesh, s, 44.0, side * edge)
    for t in np.arange(-edge, edge, 40.0).tolist():
        mesh = plants.forest_edge(scene.atlas, rng, 46.0, height * rng.uniform(0.6, 1.3), 4.0)
        scene.place(mesh, road.length - 6, t + 20, -np.pi / 2)
