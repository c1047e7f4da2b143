"""How a drive's camera is mounted, and which lens it has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.synthetic.scene import CAMERA_HEIGHT_M, Ego

HEIGHT_RANGE_M = (1.2, 2.2)
"""Lowest and highest camera of :func:`random_rig`, metres: from a small car's windscreen to a van's roof."""

MAX_PITCH_RAD = float(np.radians(3.0))
"""Largest tilt up or down of :func:`random_rig`, radians."""

MAX_ROLL_RAD = float(np.radians(1.5))
"""Largest tilt to a side of :func:`random_rig`, radians."""

FOCAL_RANGE = (0.6, 1.2)
"""Shortest and longest focal length of :func:`random_rig`, as factors on the given camera's."""

SHAPES = (16 / 9, 16 / 10, 3 / 2, 4 / 3)
"""Aspect ratios, width over height, that :func:`random_shape` chooses from."""

_SHAPED_FOCAL = 0.8  # focal length over the picture's width: a field of view of 64 degrees
_CENTER_SHIFT = 0.02  # largest shift of the principal point, as a share of the picture's size
_STREAM, _SHAPE_STREAM = 0x5EED, 0x54A9E  # keep the rig's random numbers apart from the scene's


@dataclass(frozen=True)
class CameraRig:
    """A camera and its place on the car.

    Attributes:
        camera: intrinsics.
        height: above the road, metres.
        pitch: radians, positive looks down; added to the car's own.
        roll: radians; added to the car's own.
    """

    camera: PinholeCamera
    height: float = CAMERA_HEIGHT_M
    pitch: float = 0.0
    roll: float = 0.0

    def mounted_on(self, ego: Ego) -> Ego:
        """Return the car with this camera on it."""
        return replace(ego, height=self.height, pitch=ego.pitch + self.pitch, roll=ego.roll + self.roll)


def random_rig(seed: int, camera: PinholeCamera) -> CameraRig:
    """Return a camera with another lens, mounted elsewhere; the same arguments always return the same one.

    Focal lengths are drawn evenly on a logarithmic scale from 0.6 to 1.2 times ``camera``'s at the same picture size.
    Heights lie from 1.2 to 2.2 m, most of them near KITTI's.

    Args:
        seed: seed of the drive.
        camera: the camera to vary.
    """
    rng = np.random.default_rng([seed, _STREAM])
    factor = float(np.exp(rng.uniform(*np.log(FOCAL_RANGE))))
    shift = rng.uniform(-_CENTER_SHIFT, _CENTER_SHIFT, 2)
    lens = replace(
        camera,
        fx=camera.fx * factor,
        fy=camera.fy * factor,
        cx=camera.cx + camera.width * float(shift[0]),
        cy=camera.cy + camera.height * float(shift[1]),
    )
    low, high = HEIGHT_RANGE_M
    return CameraRig(
        lens,
        height=float(rng.triangular(low, CAMERA_HEIGHT_M, high)),
        pitch=float(np.clip(rng.normal(0, MAX_PITCH_RAD / 2), -MAX_PITCH_RAD, MAX_PITCH_RAD)),
        roll=float(np.clip(rng.normal(0, MAX_ROLL_RAD / 2), -MAX_ROLL_RAD, MAX_ROLL_RAD)),
    )


def random_shape(seed: int, camera: PinholeCamera) -> PinholeCamera:
    """Return a camera with one of the aspect ratios :data:`SHAPES`; the same seed always gives the same one.

    It sees 64 degrees from side to side, and its picture has about as many pixels as ``camera``'s. Vary its lens with
    :func:`random_rig`.

    Args:
        seed: seed of the drive.
        camera: tells the number of pixels.
    """
    shape = float(np.random.default_rng([seed, _SHAPE_STREAM]).choice(SHAPES))
    pixels = camera.width * camera.height
    width, height = round((pixels * shape) ** 0.5), round((pixels / shape) ** 0.5)
    focal = _SHAPED_FOCAL * width
    return PinholeCamera(width, height, focal, focal, (width + 1) / 2, (height + 1) / 2)
