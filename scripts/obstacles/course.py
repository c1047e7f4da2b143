"""Test streets with obstacles on a known ground: pictures with exact depth, ground and heights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic import cars, furniture, plants, vehicles, zones
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.building_textures import add_buildings
from space_clip_ros.synthetic.furniture_textures import add_furniture
from space_clip_ros.synthetic.ground_textures import Marking, add_ground, add_road
from space_clip_ros.synthetic.light import random_light
from space_clip_ros.synthetic.mesh import GROUND, Mesh, box, concatenate
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.plant_textures import add_plants
from space_clip_ros.synthetic.render import CameraView
from space_clip_ros.synthetic.road import Edge, Road
from space_clip_ros.synthetic.scene import Ego, Scene
from space_clip_ros.synthetic.sensor import expose, random_sensor
from space_clip_ros.synthetic.vehicle_textures import add_vehicles

COURSES = ("flat", "slope", "kerb", "stairs")
"""Kinds of ground: level; rising by 5 % from 12 m ahead of the camera; with kerbs of 13 cm; level with stairs on it."""

SLOPE = 0.05
KERB_M = 0.13
STEP_M = (0.30, 0.17)
"""Run and rise of a step, metres."""

_AT, _LENGTH = 40.0, 240.0
_SLOPE_AT = 12.0
_HALF_ROAD, _PAVEMENT, _LAND = 4.0, 7.0, 70.0
_STEPS = 9
_OBSTACLES = 7


@dataclass(frozen=True)
class CourseFrame:
    """One picture of a course.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 metres along the optical axis, exact, NaN for the sky.
        ground: (H, W) bool, where the ground is seen, its kerbs included.
        height: (H, W) float32 metres above the ground at the same place, NaN for the sky; stairs stand on the ground.
        distance: (H, W) float32 metres from the camera along a level plane, NaN for the sky.
        camera_to_level: (3, 3) rotation from the optical frame to x ahead, y left, z up.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    ground: NDArray[np.bool_]
    height: NDArray[np.float32]
    distance: NDArray[np.float32]
    camera_to_level: NDArray[np.float64]


def course_frame(course: str, seed: int, camera: PinholeCamera) -> CourseFrame:
    """Return a picture of a random course; the same arguments always give the same one.

    Args:
        course: one of :data:`COURSES`.
        seed: seed of everything random.
        camera: intrinsics, pixel centres at integer coordinates counted from 0.

    Raises:
        InputError: an unknown course, or a negative seed.
    """
    if course not in COURSES or seed < 0:
        raise InputError(f"course must be one of {', '.join(COURSES)} and seed 0 or more, got {course!r} and {seed}")
    scene = _build(course, np.random.default_rng(seed))
    pose = scene.camera_pose(0.0)
    view = CameraView(scene.mesh(0.0), scene.atlas, camera, pose)
    rgb = expose(view.color(scene.light), scene.sensor, np.random.default_rng([seed, 1]))
    depth = view.depth()
    v, u = np.indices(depth.shape)
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(depth.shape)], axis=-1)
    offset = rays @ pose[:3, :3].T * depth[..., None]
    x, y, z = np.moveaxis(offset + pose[:3, 3], -1, 0)
    kinds = np.append(view.mesh.kind[view.facets.index], np.uint8(255))
    ground = kinds[view.z_buffer.facet].reshape(depth.shape) == GROUND
    # The road is straight, so x is the position along it and y that across it.
    height = z - _profile(course)(x) - np.interp(y, *_section_heights(course))
    distance = np.hypot(offset[..., 0], offset[..., 1])
    return CourseFrame(rgb, depth, ground, height.astype(np.float32), distance.astype(np.float32), pose[:3, :3])


def _profile(course: str) -> Callable[[NDArray[np.floating]], NDArray[np.floating]]:
    slope = SLOPE if course == "slope" else 0.0
    return lambda s: slope * np.maximum(s - _AT - _SLOPE_AT, 0.0)


def _section(course: str) -> tuple[Edge, ...]:
    """Return the ground's cross-section from right to left; an edge's texture covers the strip to its left."""
    kerb = KERB_M if course == "kerb" else 0.0
    return (
        Edge(-_LAND, kerb, "grass", 9.0),
        Edge(-_PAVEMENT, kerb, "pavement", 2.0),
        Edge(-_HALF_ROAD - 0.16, kerb, "kerb", 1.0),
        Edge(-_HALF_ROAD - 0.01, kerb, "kerb", 2.0),
        Edge(-_HALF_ROAD, 0.0, "road", 0.0),
        Edge(_HALF_ROAD, 0.0, "kerb", 2.0),
        Edge(_HALF_ROAD + 0.01, kerb, "kerb", 1.0),
        Edge(_HALF_ROAD + 0.16, kerb, "pavement", 2.0),
        Edge(_PAVEMENT, kerb, "grass", 9.0),
        Edge(_LAND, kerb),
    )


def _section_heights(course: str) -> tuple[list[float], list[float]]:
    section = _section(course)
    return [edge.t for edge in section], [edge.height for edge in section]


def _build(course: str, rng: Rng) -> Scene:
    atlas = Atlas()
    for add in (add_ground, add_plants, add_buildings, add_vehicles, add_furniture):
        add(atlas, rng)
    add_road(atlas, rng, 2 * _HALF_ROAD, [Marking(_HALF_ROAD, 0.12, 0.5)])
    road = Road(rng, _LENGTH, _section(course), bend=0.0, slope=0.0, relief=0.0, profile=_profile(course))
    ego = Ego(
        _AT,
        float(rng.uniform(-2.2, 2.2)),
        0.0,
        pitch=float(np.radians(rng.normal(0, 0.5))),
        roll=float(np.radians(rng.normal(0, 0.4))),
        sway=0.0,
    )
    scene = Scene(rng, atlas, road, random_light(rng), random_sensor(rng), ego)
    for side in (-1, 1):
        zone = (zones.blocks, zones.houses, zones.hedgerow)[int(rng.integers(3))]
        zone(scene, side, 0.0, _LENGTH - 10, _PAVEMENT + 1.0)
    _add_background(scene)
    _add_obstacles(scene)
    if course == "stairs":
        stairs = _stairs(atlas, float(rng.uniform(6.0, 14.0)))
        scene.place(stairs, _AT + float(rng.uniform(8.0, 16.0)), float(rng.uniform(-3.0, 3.0)))
    return scene


def _add_background(scene: Scene) -> None:
    """Close the view with woods beside the street and at its end, so that the land does not end in the sky."""
    rng, edge = scene.rng, _LAND - 6
    for side in (-1, 1):
        for s in np.arange(10.0, _LENGTH - 20, 40.0).tolist():
            woods = plants.forest_edge(scene.atlas, rng, 44.0, float(rng.uniform(5, 12)), 4.0)
            scene.place_facing_road(woods.placed((22, 0, 0), 0.0), s, 44.0, side * edge)
    for t in np.arange(-edge, edge, 40.0).tolist():
        woods = plants.forest_edge(scene.atlas, rng, 46.0, float(rng.uniform(5, 12)), 4.0)
        scene.place(woods, _LENGTH - 6, t + 20, -np.pi / 2)


def _add_obstacles(scene: Scene) -> None:
    """Put cars, people, street furniture and boxes on the road and its pavements, 7 to 28 m ahead."""
    rng, atlas = scene.rng, scene.atlas

    def crate(atlas: Atlas, rng: Rng) -> Mesh:
        texture = atlas.index("kerb")
        return box(rng.uniform(0.3, 1.0, 3).tolist(), texture, tint=rng.uniform(0.3, 1.2, 3))

    makers = (cars.car, cars.car, vehicles.person, vehicles.person, furniture.bollard, furniture.sign, crate, crate)
    for _ in range(_OBSTACLES):
        make = makers[int(rng.integers(len(makers)))]
        yaw = float(rng.choice([0.0, np.pi]) + rng.normal(0, 0.1))
        scene.place(make(atlas, rng), _AT + float(rng.uniform(7, 28)), float(rng.uniform(-6.5, 6.5)), yaw)


def _stairs(atlas: Atlas, width: float) -> Mesh:
    """Return stairs that go up along x, from x = 0, with a landing behind them."""
    run, rise = STEP_M
    length = _STEPS * run + 2.0
    steps = []
    for step in range(_STEPS):
        tread = box((length - step * run, width, rise), atlas.index("pavement"), base=step * rise, repeat=2.0)
        steps.append(tread.placed(((length + step * run) / 2, 0.0, 0.0), 0.0))
    return concatenate(steps)
