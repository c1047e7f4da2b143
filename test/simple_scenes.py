"""Depth maps of simple scenes, worked out ray by ray: planes and boxes seen by a pinhole camera over level ground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from space_clip_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(621, 188, 360.0, 360.0, 310.0, 88.0)
"""A camera like KITTI's at half its size."""
SMALL = CAMERA.resized(310, 94)
"""The same at half of that, for scenes of many frames."""


class Box(NamedTuple):
    """A solid box; x right, y forward, z up from the point on the ground below the camera, metres."""

    x: tuple[float, float]
    y: tuple[float, float]
    z: tuple[float, float]


class Ground(NamedTuple):
    """Ground that begins level and rises by ``slope`` per metre from ``start`` on, metres ahead."""

    slope: float = 0.0
    start: float = 0.0


LEVEL = Ground()


def street(
    *boxes: Box,
    ground: Ground | None = LEVEL,
    camera: PinholeCamera = CAMERA,
    height: float = 1.65,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
) -> np.ndarray:
    """Return (H, W) float32 metres along the optical axis, NaN for the sky.

    Args:
        boxes: what stands on the ground.
        ground: its shape; None for none.
        camera: the camera.
        height: of the camera above the ground below it, metres.
        pitch_deg: how far the camera looks down.
        roll_deg: how far it is turned clockwise, seen from behind.
    """
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64)
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1)
    rays = rays @ _camera_to_world(pitch_deg, roll_deg).T
    distance = np.full(u.shape, np.inf)
    if ground is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            level = -height / rays[..., 2]
            level = np.where((level > 0) & (level * rays[..., 1] < (ground.start or np.inf)), level, np.inf)
            steep = (-height - ground.slope * ground.start) / (rays[..., 2] - ground.slope * rays[..., 1])
            steep = np.where((steep > 0) & (steep * rays[..., 1] >= ground.start), steep, np.inf)
        distance = np.minimum(level, steep if ground.start else np.inf)
    for box in boxes:
        distance = np.minimum(distance, _entered(box, rays, height))
    return np.where(np.isfinite(distance), distance, np.nan).astype(np.float32)


HOUSES = (Box((-30, -8), (0, 80), (0, 9)), Box((7, 30), (0, 80), (0, 9)))
CAR = Box((1.5, 3.3), (8, 12), (0.2, 1.5))
TRUCK = Box((-1.3, 1.3), (9, 20), (0.4, 4.0))
WALL = Box((-50, 50), (5, 6), (-5, 9))


def stairs(first: float, steps: int = 12, rise: float = 0.17, run: float = 0.29) -> Sequence[Box]:
    """Return stairs that go up from ``first`` metres ahead."""
    return [Box((-20, 20), (first + i * run, first + steps * run), (0, (i + 1) * rise)) for i in range(steps)]


def noisy(depth: np.ndarray, share: float, seed: int = 0, patch: int = 1) -> np.ndarray:
    """Return depth with errors of a share of itself that are the same over squares of ``patch`` pixels."""
    rng = np.random.default_rng(seed)
    rows, columns = (-(-side // patch) for side in depth.shape)
    error = np.kron(rng.normal(0.0, share, (rows, columns)), np.ones((patch, patch)))
    return (depth * np.exp(error[: depth.shape[0], : depth.shape[1]])).astype(np.float32)


def _camera_to_world(pitch_deg: float, roll_deg: float) -> np.ndarray:
    """Return the rotation from optical axes (x right, y down, z forward) to x right, y forward, z up."""
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    forward = np.array([0.0, math.cos(pitch), -math.sin(pitch)])
    right, down = np.array([1.0, 0.0, 0.0]), np.array([0.0, -math.sin(pitch), -math.cos(pitch)])
    turned_right = right * math.cos(roll) + down * math.sin(roll)
    turned_down = down * math.cos(roll) - right * math.sin(roll)
    return np.stack([turned_right, turned_down, forward], axis=1)


def _entered(box: Box, rays: np.ndarray, height: float) -> np.ndarray:
    """Return how many rays long the way into the box is; infinite for rays that miss it or begin inside."""
    low = np.array([box.x[0], box.y[0], box.z[0] - height])
    high = np.array([box.x[1], box.y[1], box.z[1] - height])
    with np.errstate(divide="ignore", invalid="ignore"):
        first, last = low / rays, high / rays
    entry = np.nanmax(np.minimum(first, last), axis=-1)
    leave = np.nanmin(np.maximum(first, last), axis=-1)
    return np.where((entry > 0) & (entry <= leave), entry, np.inf)
