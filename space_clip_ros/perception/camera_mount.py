"""How a camera stands above the ground: what the metric scale and the obstacles know of it beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

from space_clip_ros.config import ScaleConfig
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.ground_plane import LEVEL, up_vector


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


def configured_mount(settings: ScaleConfig) -> CameraMount:
    """Return the mount that the parameters give; its height is unknown if ``scale.camera_height`` is 0."""
    up = up_vector(math.degrees(settings.camera_roll), math.degrees(settings.camera_pitch))
    return CameraMount(settings.camera_height, up)
