"""The ground below one camera, kept from frame to frame."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from space_clip_ros.geometry.ground_plane import GroundPlane, NoGround
from space_clip_ros.perception.camera_mount import CameraMount
from space_clip_ros.perception.frame_times import started_again

_SMOOTHING_S = 0.3
_HEIGHT_JUMP = 1.25
_TILT_JUMP_DEG = 3.0
_MOUNT_RATIO = 3.0
"""Largest ratio of the plane's height to the mount's: depth's scale may be off, but a table top is not ground."""
_UNKNOWN_PERIOD_S = 0.1
"""Taken between two frames whose stamps do not tell."""
_MOUNT_TOLERANCE_DEG = 1.0
_MOUNT_HEIGHT_STD = 0.03
_OTHER_FOCAL = 0.01
"""Smallest change of the focal factor, as a share, after which the ground of the frames before says nothing."""


class GroundSource(str, enum.Enum):
    """Where a frame's ground comes from; the value is a text for people."""

    FITTED = "fitted"
    HELD = "held"
    MOUNT = "camera height"
    NONE = "none"


@dataclass(frozen=True)
class Ground:
    """The ground of a frame.

    Attributes:
        plane: the plane; None where there is none.
        source: where it comes from.
        age_s: seconds since it was last fitted; 0 if it was not.
        problem: why this frame alone gave no plane; empty if it did.
        interval_s: seconds since the camera's frame before; 0 where unknown.
    """

    plane: GroundPlane | None
    source: GroundSource
    age_s: float = 0.0
    problem: str = ""
    interval_s: float = 0.0


class GroundTracker:
    """Takes the ground of each frame of one camera, smooths it, and holds it over frames that show none.

    A plane that jumps is more likely a truck's bed or a table than the ground, so it counts as none. If it stays, it
    becomes the ground once the old one is too old. Kept is the plane of depth as the network gives it, so that another
    factor on depth moves it too. Not for several threads at once.
    """

    def __init__(self) -> None:
        """Start without ground."""
        self._plane: GroundPlane | None = None
        self._fitted_at = -math.inf
        self._now: float | None = None
        self._focal = 1.0

    def reset(self) -> None:
        """Forget the ground, as when a camera starts again."""
        self._plane, self._fitted_at, self._now = None, -math.inf, None

    def update(
        self,
        fitted: GroundPlane | NoGround,
        stamp_s: float | None,
        max_age_s: float,
        mount: CameraMount | None = None,
        scale: float = 1.0,
        focal: float = 1.0,
    ) -> Ground:
        """Return the ground of the next frame.

        Args:
            fitted: the plane fitted to its depth, or why there is none.
            stamp_s: when it was taken, seconds; None where unknown. If time starts again, the ground is forgotten.
            max_age_s: for how long a plane is held, seconds.
            mount: what is known about the camera; None for a level one at any height.
            scale: the factor on the network's depth in ``fitted``.
            focal: the part of it for the field of view. If it changes, another lens or another calibration is in use,
                and the ground is forgotten.
        """
        mount = mount or CameraMount()
        if abs(focal - self._focal) > _OTHER_FOCAL * focal:
            self._plane = None
        self._focal = focal
        interval = self._advance(stamp_s)
        now = self._now or 0.0
        problem = ""
        held = None
        if self._plane is not None and now - self._fitted_at <= max_age_s:
            held = self._plane.scaled(scale)
        if isinstance(fitted, NoGround):
            problem = fitted.value
        elif mount.height_m and not 1 / _MOUNT_RATIO <= fitted.height_m / mount.height_m <= _MOUNT_RATIO:
            problem = "the level plane in view is not at the camera's height"
        elif held is not None and _jumps(held, fitted):
            problem = "the level plane in view is not the ground of the frames before"
        else:
            weight = 1.0 if held is None else 1 - math.exp(-max(now - self._fitted_at, 1e-3) / _SMOOTHING_S)
            plane = fitted if held is None else _blended(held, fitted, weight)
            self._plane, self._fitted_at = plane.scaled(1 / scale), now
            return Ground(plane, GroundSource.FITTED, 0.0, "", interval)
        if held is not None:
            return Ground(held, GroundSource.HELD, now - self._fitted_at, problem, interval)
        if mount.height_m:
            return Ground(mounted_plane(mount), GroundSource.MOUNT, 0.0, problem, interval)
        return Ground(None, GroundSource.NONE, 0.0, problem, interval)

    def _advance(self, stamp_s: float | None) -> float:
        """Move on to a frame; return the seconds since the one before, 0 where unknown."""
        before = self._now
        if stamp_s is None:
            self._now = (before or 0.0) + _UNKNOWN_PERIOD_S
            return 0.0
        if before is None or started_again(before, stamp_s):
            self.reset()
            self._now = stamp_s
            return 0.0
        self._now = max(stamp_s, before)
        return self._now - before


def mounted_plane(mount: CameraMount) -> GroundPlane:
    """Return the ground that a camera's mount gives; it may be off by a degree, as cars and robots pitch."""
    tilt_std = math.radians(_MOUNT_TOLERANCE_DEG)
    return GroundPlane(_unit(mount.up), mount.height_m, _MOUNT_HEIGHT_STD * mount.height_m, 0, 0.0, 0.0, tilt_std)


def _jumps(held: GroundPlane, fitted: GroundPlane) -> bool:
    cosine = float(np.dot(held.normal, fitted.normal))
    ratio = fitted.height_m / held.height_m
    return cosine < math.cos(math.radians(_TILT_JUMP_DEG)) or not 1 / _HEIGHT_JUMP <= ratio <= _HEIGHT_JUMP


def _blended(held: GroundPlane, fitted: GroundPlane, weight: float) -> GroundPlane:
    """Return a plane between two, ``weight`` of the way from the first; how well it is known is the second's."""
    normal = np.add(np.multiply(held.normal, 1 - weight), np.multiply(fitted.normal, weight))
    height = held.height_m * (1 - weight) + fitted.height_m * weight
    return replace(fitted, normal=_unit(normal.tolist()), height_m=height)


def _unit(vector: Sequence[float]) -> tuple[float, float, float]:
    length = math.hypot(*vector)
    x, y, z = (value / length for value in vector)
    return x, y, z
