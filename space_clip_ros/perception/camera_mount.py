"""How a camera stands above the ground: what the metric scale and the obstacles know of it beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from space_clip_ros.config import ScaleConfig
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.ground_plane import LEVEL, up_vector
from space_clip_ros.geometry.rigid import Matrix


@dataclass(frozen=True)
class CameraMount:
    """How a camera stands above the ground.

    Attributes:
        height_m: its height, metres; 0 where unknown.
        up: direction up in its optical frame, a unit vector.

    Raises:
        InputError: a height that is below 0 or not finite.
    """

    height_m: float = 0.0
    up: tuple[float, float, float] = LEVEL

    def __post_init__(self) -> None:
        """Check the height."""
        if not 0 <= self.height_m < math.inf:
            raise InputError(f"the camera's height above the ground must be 0 metres or more, got {self.height_m}")

    @classmethod
    def from_pose(cls, pose: Matrix) -> CameraMount:
        """Return the mount of a camera at a pose, (4, 4), in a frame whose x y plane is the ground and whose z is up.

        Raises:
            InputError: the camera is not above the ground.
        """
        return cls(float(pose[2, 3]), up_in(pose))


def up_in(pose: Matrix) -> tuple[float, float, float]:
    """Return the direction up in the optical frame of a camera at a pose, (4, 4), in a frame whose z points up."""
    x, y, z = (float(value) for value in pose[2, :3])
    return x, y, z


def configured_mount(settings: ScaleConfig, pose: Matrix | str | None = None) -> CameraMount:
    """Return the mount that the parameters give; its height is unknown if ``scale.camera_height`` is 0.

    Args:
        settings: the parameters.
        pose: the camera's pose, (4, 4), in a frame whose z points up, if there is one that is known. It gives the
            direction up unless ``scale.camera_pitch`` or ``scale.camera_roll`` does.
    """
    given = CameraMount(
        settings.camera_height, up_vector(math.degrees(settings.camera_roll), math.degrees(settings.camera_pitch))
    )
    if isinstance(pose, np.ndarray) and not settings.camera_roll and not settings.camera_pitch:
        return replace(given, up=up_in(pose))
    return given
