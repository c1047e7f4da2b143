"""Streets with a person at 10 m and a pole at 8 m, to test whether a model separates them from the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.kitti_raw_frames import FARTHEST_M
from space_clip_ros.data.labels import Label
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth, Mask
from space_clip_ros.synthetic import people
from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.calibration import drawing_camera
from space_clip_ros.synthetic.drive import KITTI_CAMERA, render
from space_clip_ros.synthetic.mesh import Mesh, prism
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.render import CameraView
from space_clip_ros.synthetic.scene import Scene
from space_clip_ros.synthetic.scene_builder import build_scene

PERSON_M, POLE_M = 10.0, 8.0
"""Distances from the camera along its axis, metres."""

BUILT = ("city", "residential", "avenue", "old_town")
"""Kinds of streets, taken in turn."""

_SIDEWAYS_M = (0.8, 5.0)  # from the middle of the picture
_TRIES = 40
_LEAST_VISIBLE = 0.95  # of an object's pixels
_LEAST_FREE = 0.6  # of the pixels within _AROUND_M beside it that show something farther away
_FARTHER = 1.2
_AROUND_M = 0.7
_STREAM = 0x90_1E  # keeps these random numbers apart from the scene's


@dataclass(frozen=True)
class StreetView:
    """A picture of a street with a person and a pole.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres, at most :data:`~space_clip_ros.data.kitti_raw_frames.FARTHEST_M`, which also
            stands for the sky.
        objects: (H, W) bool masks of ``person`` and ``pole``.
        camera: intrinsics, pixel centres at integer coordinates counted from 0.
    """

    image: Rgb
    depth: Depth
    objects: dict[str, Mask]
    camera: PinholeCamera


def person_and_pole(seed: int, camera: PinholeCamera = KITTI_CAMERA) -> StreetView | None:
    """Return a street with a person and a pole in sight, one left and one right of the middle.

    Both stand where something farther away shows beside them. The same arguments always return the same picture.

    Args:
        seed: seed of everything random.
        camera: intrinsics, pixels counted from 1 as in KITTI's files.

    Returns:
        The picture; None if the street has no free place for one of them.

    Raises:
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}")
    camera = drawing_camera(camera)
    scene = build_scene(seed, 0.0, BUILT[seed % len(BUILT)], varied=True)
    rng = np.random.default_rng([seed, _STREAM])
    street = _depth(scene.mesh(0.0), scene.atlas, camera, scene.camera_pose(0.0))
    side = rng.choice([-1, 1])
    meshes = {
        "person": people.pedestrian(scene.atlas, rng, walking=rng.random() < 0.5).placed((0, 0, 0), rng.uniform(0, 6)),
        "pole": _pole(scene.atlas, rng),
    }
    objects = {}
    for (name, mesh), distance, direction in zip(meshes.items(), (PERSON_M, POLE_M), (side, -side), strict=True):
        mask = _stand(scene, rng, mesh, street, camera, distance, direction)
        if mask is None:
            return None
        objects[name] = mask
    image, depth = render(scene, scene.camera_pose(0.0), camera, seed=seed)
    depth = np.minimum(np.nan_to_num(depth, nan=FARTHEST_M), FARTHEST_M).astype(np.float32)
    return StreetView(image, depth, objects, camera)


def _pole(atlas: Atlas, rng: Rng) -> Mesh:
    texture = atlas.pick(rng, ["metal", "dark_metal", "concrete"])
    return prism(rng.uniform(0.05, 0.12), rng.uniform(2.5, 6.0), texture, sides=8).labelled(Label.POLE)


def _stand(
    scene: Scene, rng: Rng, mesh: Mesh, street: Depth, camera: PinholeCamera, distance: float, side: int
) -> Mask | None:
    """Place an object in sight, in front of something; return its pixels, or None if no place is free."""
    pose = scene.camera_pose(0.0)
    for _ in range(_TRIES):
        t = scene.ego.t + side * rng.uniform(*_SIDEWAYS_M)
        s = _along(scene, pose, distance, t)
        placed = mesh.placed(scene.road.ground(s, t), float(scene.road.heading(s)))
        own = _depth(placed, scene.atlas, camera, pose)
        mask = own < np.nan_to_num(street, nan=np.inf)
        if mask.sum() < _LEAST_VISIBLE * max(np.isfinite(own).sum(), 1) or not _is_free(mask, street, camera, distance):
            continue
        scene.place(mesh, s, t)
        return mask
    return None


def _along(scene: Scene, pose: NDArray[np.float64], distance: float, t: float) -> float:
    """Return where along the road the ground at ``t`` is ``distance`` metres from the camera along its axis."""
    s = scene.ego.s + distance
    for _ in range(4):
        s += distance - float((scene.road.ground(s, t) - pose[:3, 3]) @ pose[:3, 2])
    return s


def _is_free(mask: Mask, street: Depth, camera: PinholeCamera, distance: float) -> bool:
    """Return whether the object is wholly inside the picture and in front of something farther away."""
    columns = np.flatnonzero(mask.any(axis=0))
    around = round(_AROUND_M * camera.fx / distance)
    left, right = columns[0] - around, columns[-1] + around + 1
    if left < 0 or right > camera.width:
        return False
    rows = mask.any(axis=1)
    behind = np.nan_to_num(street, nan=np.inf)[rows, left:right] > _FARTHER * distance
    return bool(behind.mean() > _LEAST_FREE)


def _depth(mesh: Mesh, atlas: Atlas, camera: PinholeCamera, pose: NDArray[np.float64]) -> Depth:
    return CameraView(mesh, atlas, camera, pose).depth()
