"""A scene: the road, what stands beside it, what moves, and the car that carries the sensors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.synthetic.atlas import Atlas
from space_clip_ros.synthetic.light import Light
from space_clip_ros.synthetic.mesh import Mesh, concatenate
from space_clip_ros.synthetic.noise import Rng
from space_clip_ros.synthetic.road import Road
from space_clip_ros.synthetic.sensor import Sensor

CAMERA_HEIGHT_M = 1.65
"""Height of KITTI's cameras above the road, metres."""

_REACH = 320.0
_BEHIND = 12.0


@dataclass(frozen=True)
class Mover:
    """A road user.

    Attributes:
        mesh: its shape, x forward, origin on the ground.
        s: position along the road at time 0, metres.
        t: metres left of the centre line.
        speed: metres/second along the road; negative for oncoming.
        drift: metres/second to the left, for road users who cross.
    """

    mesh: Mesh
    s: float
    t: float
    speed: float
    drift: float = 0.0

    @property
    def yaw(self) -> float:
        """Heading relative to the road, radians."""
        if self.drift:
            return float(np.arctan2(self.drift, self.speed))
        return np.pi if self.speed < 0 else 0.0


@dataclass(frozen=True)
class Ego:
    """The car that carries the sensors.

    Attributes:
        s: position along the road at time 0, metres.
        t: metres left of the centre line.
        speed: metres/second.
        yaw: of the camera relative to the road, radians.
        pitch: of the camera, radians; positive looks down.
        roll: of the camera, radians.
        sway: amplitude of the body's pitching, radians.
        height: of the camera above the road, metres.
    """

    s: float
    t: float
    speed: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    sway: float = 0.002
    height: float = CAMERA_HEIGHT_M


@dataclass
class Scene:
    """A street; :mod:`~space_clip_ros.synthetic.scene_builder` fills it.

    Attributes:
        rng: source of randomness while building.
        atlas: textures.
        road: the road and its ground.
        light: weather.
        sensor: the colour camera's traits.
        ego: the car that carries the sensors.
        movers: road users.
        varied: draw from the wider range of things, such as people with volume and tall trees.
    """

    rng: Rng
    atlas: Atlas
    road: Road
    light: Light
    sensor: Sensor
    ego: Ego
    movers: list[Mover] = field(default_factory=list)
    varied: bool = False
    _placed: list[Mesh] = field(default_factory=list)
    _static: tuple[Mesh, NDArray[np.floating]] | None = None

    def place(self, mesh: Mesh, s: float, t: float, yaw: float = 0.0) -> None:
        """Put a mesh on the ground at ``s``, ``t``, rotated by ``yaw`` radians relative to the road."""
        self._placed.append(mesh.placed(self.road.ground(s, t), float(self.road.heading(s)) + yaw))
        self._static = None

    def place_facing_road(self, mesh: Mesh, start: float, length: float, t: float) -> None:
        """Put a mesh that extends along x and faces -y beside the road, facing the road.

        Args:
            mesh: from x = 0 to ``length``.
            start: where the mesh begins, metres along the road.
            length: of the mesh, metres.
            t: of its front, metres left of the centre line.
        """
        middle = start + length / 2
        heading = float(self.road.heading(middle)) + (np.pi if t < 0 else 0.0)
        along = np.array([np.cos(heading), np.sin(heading), 0.0])
        self._placed.append(mesh.placed(self.road.ground(middle, t) - along * length / 2, heading))
        self._static = None

    def clear(self, s: float, length: float, inner: float, outer: float) -> None:
        """Remove what stands beside the road around ``s``, such as trees where a tunnel comes.

        Args:
            s: middle, metres along the road.
            length: of the straight box to clear, metres.
            inner: what reaches farther than this from the middle of the road goes, metres.
            outer: what begins farther than this stays, metres.
        """
        origin, heading = self.road.point(s, 0.0), float(self.road.heading(s))
        along = np.array([np.cos(heading), np.sin(heading)])
        across = np.array([-along[1], along[0]])

        def inside(mesh: Mesh) -> bool:
            offset = (mesh.corners.reshape(-1, 3) - origin)[:, :2]
            x, y = offset @ along, np.abs(offset @ across)
            overlaps = x.min() < length / 2 and x.max() > -length / 2
            return bool(overlaps and y.max() > inner and y.min() < outer)

        self._placed = [mesh for mesh in self._placed if not inside(mesh)]
        self._static = None

    def mesh(self, time: float) -> Mesh:
        """Return everything within sight of the ego car ``time`` seconds after the start, in world coordinates."""
        if self._static is None:
            static = concatenate([self.road.mesh(self.atlas), *self._placed])
            self._static = static, static.corners.mean(axis=1)
        static, centers = self._static
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
                _tilted(mover.mesh, self.road.slope(s) * np.cos(mover.yaw)).placed(
                    self.road.ground(s, mover.t + mover.drift * time), yaw
                )
            )
        return concatenate([static.select(np.flatnonzero(near)), *moving])

    def camera_pose(self, time: float) -> NDArray[np.float64]:
        """Return the (4, 4) camera (x right, y down, z forward) to world transform at ``time`` seconds."""
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
        pose[:3, 3] = self.road.point(s, self.ego.t) + np.array([0, 0, self.ego.height])
        return pose


def _tilted(mesh: Mesh, slope: float) -> Mesh:
    """Shear a mesh so that it follows a slope."""
    corners = mesh.corners.copy()
    corners[..., 2] += slope * corners[..., 0]
    return replace(mesh, corners=corners)
