"""A scene: what stands still, what moves, and the car that looks at it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.light import Light
from space_clip_ros.synthetic.mesh import Mesh, concatenate
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.road import Road
from space_clip_ros.synthetic.sensor import Sensor

CAMERA_HEIGHT = 1.65
"""Height of the camera above the road, metres."""

_REACH = 320.0
_BEHIND = 12.0


@dataclass(frozen=True)
class Mover:
    """A road user.

    Attributes:
        mesh: its shape, x forward, origin on the ground.
        s: where it is along the road at time 0, metres.
        t: metres left of the centre line.
        speed: metres/second along the road; negative for oncoming.
    """

    mesh: Mesh
    s: float
    t: float
    speed: float

    @property
    def yaw(self) -> float:
        """Direction against the road's, radians."""
        return np.pi if self.speed < 0 else 0.0


@dataclass(frozen=True)
class Ego:
    """The car that carries the sensors.

    Attributes:
        s: where it is along the road at time 0, metres.
        t: metres left of the centre line.
        speed: metres/second.
        yaw: of the camera against the road, radians.
        pitch: of the camera, radians, positive looks down.
        roll: of the camera, radians.
        sway: amplitude of the body's own pitching, radians.
    """

    s: float
    t: float
    speed: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    sway: float = 0.002


@dataclass
class Scene:
    """Everything there is; built up by the layouts.

    Attributes:
        rng: source of randomness while building.
        atlas: textures.
        road: the road and its ground.
        light: weather.
        sensor: the colour camera's traits.
        ego: the car that looks.
        movers: road users.
    """

    rng: Rng
    atlas: Atlas
    road: Road
    light: Light
    sensor: Sensor
    ego: Ego
    movers: list[Mover] = field(default_factory=list)
    _parts: list[Mesh] = field(default_factory=list)
    _still: tuple[Mesh, NDArray[np.floating]] | None = None

    def place(self, mesh: Mesh, s: float, t: float, yaw: float = 0.0) -> None:
        """Put a mesh on the ground at ``s``, ``t``, turned ``yaw`` radians against the road."""
        self._parts.append(mesh.placed(self.road.ground(s, t), float(self.road.heading(s)) + yaw))
        self._still = None

    def front(self, mesh: Mesh, start: float, length: float, t: float) -> None:
        """Put a mesh made along x, facing -y, beside the road so that it faces the road.

        Args:
            mesh: from x = 0 to ``length``.
            start: where its end nearer to the road's start is, metres along the road.
            length: of the mesh, metres.
            t: of its front, metres left of the centre line.
        """
        middle = start + length / 2
        heading = float(self.road.heading(middle)) + (np.pi if t < 0 else 0.0)
        along = np.array([np.cos(heading), np.sin(heading), 0.0])
        self._parts.append(mesh.placed(self.road.ground(middle, t) - along * length / 2, heading))
        self._still = None

    def mesh(self, time: float) -> Mesh:
        """Return what is within sight of the ego car ``time`` seconds after the start, in world coordinates."""
        if self._still is None:
            still = concatenate([self.road.mesh(self.atlas), *self._parts])
            self._still = still, still.corners.mean(axis=1)
        still, centers = self._still
        at = self.ego.s + self.ego.speed * time
        eye, ahead = self.road.point(at, self.ego.t), float(self.road.heading(at))
        offset = centers - eye
        forward = offset[:, 0] * np.cos(ahead) + offset[:, 1] * np.sin(ahead)
        near = (np.abs(offset).max(axis=1) < _REACH) & (forward > -_BEHIND - 20)
        moving = []
        for mover in self.movers:
            s = mover.s + mover.speed * time
            if not at - _BEHIND < s < min(at + 150.0, self.road.length):
                continue
            yaw = float(self.road.heading(s)) + mover.yaw
            moving.append(
                _tilted(mover.mesh, self.road.slope(s) * np.cos(mover.yaw)).placed(self.road.ground(s, mover.t), yaw)
            )
        return concatenate([still.select(np.flatnonzero(near)), *moving])

    def camera_pose(self, time: float) -> NDArray[np.float64]:
        """Return (4, 4), camera (x right, y down, z forward) to world, ``time`` seconds after the start."""
        s = self.ego.s + self.ego.speed * time
        heading = float(self.road.heading(s)) + self.ego.yaw
        sway = self.ego.sway * np.sin(2 * np.pi * 1.3 * time + 1.0)
        pitch = self.ego.pitch + sway - np.arctan(self.road.slope(s))
        forward = np.array([np.cos(heading) * np.cos(pitch), np.sin(heading) * np.cos(pitch), -np.sin(pitch)])
        left = np.array([-np.sin(heading), np.cos(heading), 0.0])
        up = np.cross(forward, left)
        right = -(left * np.cos(self.ego.roll) + up * np.sin(self.ego.roll))
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, np.cross(forward, right), forward
        pose[:3, 3] = self.road.point(s, self.ego.t) + np.array([0, 0, CAMERA_HEIGHT])
        return pose


def _tilted(mesh: Mesh, slope: float) -> Mesh:
    """Shear a mesh so that it stands along a slope."""
    corners = mesh.corners.copy()
    corners[..., 2] += slope * corners[..., 0]
    return Mesh(corners, mesh.uv, mesh.normals, mesh.texture, mesh.tint, mesh.kind)
