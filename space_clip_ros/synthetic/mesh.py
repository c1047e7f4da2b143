"""Meshes of textured quads, the only kind of surface in a scene, and shapes made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from space_clip_ros.data.labels import Label
from space_clip_ros.synthetic.raster import normals

Floats = NDArray[np.floating]
Color = Sequence[float] | NDArray[np.floating]

SOLID, CUTOUT, GROUND, DECAL = range(4)
"""Kinds of quads: visible from the front; visible from both sides, with holes; ground (no shadow); paint on ground."""

WHITE = (1.0, 1.0, 1.0)

_WHOLE = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])


@dataclass(frozen=True)
class Mesh:
    """N planar convex quads in metres, z up; a triangle repeats its third corner.

    Attributes:
        corners: (N, 4, 3), counter-clockwise seen from the front.
        uv: (N, 4, 2) texture coordinates of the corners; the fourth corner's follow from the first three.
        normals: (N, 3) unit normals for shading; those of leaves differ from the quad's own.
        texture: (N,) int32 indices in the scene's atlas.
        tint: (N, 3) factors on the texture's linear colour; on solid quads the texture's alpha says how much applies.
        kind: (N,) uint8, one of SOLID, CUTOUT, GROUND, DECAL.
        label: (N,) uint8, a :class:`~space_clip_ros.data.labels.Label`.
    """

    corners: Floats
    uv: Floats
    normals: Floats
    texture: NDArray[np.int32]
    tint: Floats
    kind: NDArray[np.uint8]
    label: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of quads."""
        return len(self.corners)

    def select(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Mesh:
        """Return some of the quads."""
        return Mesh(*(getattr(self, name)[rows] for name in _FIELDS))

    def placed(self, position: Sequence[float] | Floats, yaw: float) -> Mesh:
        """Return the mesh rotated about z by ``yaw`` radians, then moved to ``position``."""
        cosine, sine = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        corners = self.corners @ turn + np.asarray(position)
        return Mesh(corners, self.uv, self.normals @ turn, self.texture, self.tint, self.kind, self.label)

    def labelled(self, label: Label) -> Mesh:
        """Return the mesh with all its quads in one class."""
        labels = np.full(len(self), int(label), np.uint8)
        return Mesh(self.corners, self.uv, self.normals, self.texture, self.tint, self.kind, labels)


_FIELDS = ("corners", "uv", "normals", "texture", "tint", "kind", "label")


def concatenate(meshes: Sequence[Mesh]) -> Mesh:
    """Return all quads of several meshes."""
    return Mesh(*(np.concatenate([getattr(mesh, name) for mesh in meshes]) for name in _FIELDS))


def quads(
    corners: ArrayLike,
    texture: int | Sequence[int],
    uv: ArrayLike | None = None,
    *,
    tint: Color = WHITE,
    kind: int = SOLID,
    shading: ArrayLike | None = None,
) -> Mesh:
    """Return a mesh of quads of one kind.

    Args:
        corners: (N, 4, 3) or (4, 3).
        texture: index in the atlas, or N of them.
        uv: (N, 4, 2) or (4, 2); the whole texture, upright, if None.
        tint: one colour factor, or (N, 3).
        kind: one of SOLID, CUTOUT, GROUND, DECAL.
        shading: (N, 3) or (3,) normals for shading; the quads' own if None.
    """
    corner = np.asarray(corners, np.float64).reshape(-1, 4, 3)
    count = len(corner)
    normal = normals(corner) if shading is None else np.asarray(shading, np.float64).reshape(-1, 3)
    normal = normal / np.maximum(np.sqrt((normal * normal).sum(axis=1, keepdims=True)), 1e-12)
    return Mesh(
        corner,
        _filled((count, 4, 2), _WHOLE if uv is None else uv),
        _filled((count, 3), normal),
        np.full(count, texture, np.int32),
        _filled((count, 3), tint),
        np.full(count, kind, np.uint8),
        np.zeros(count, np.uint8),
    )


def _filled(shape: tuple[int, ...], values: ArrayLike) -> Floats:
    """Return an array of ``shape`` with ``values`` broadcast into it."""
    result = np.empty(shape)
    result[:] = values
    return result


def upright(
    start: Sequence[float],
    end: Sequence[float],
    height: float,
    texture: int,
    repeat: tuple[float, float] = (1.0, 1.0),
    *,
    tint: Color = WHITE,
    kind: int = SOLID,
    shading: ArrayLike | None = None,
) -> Mesh:
    """Return one vertical quad from ``start`` to ``end`` (x, y, z of its foot, left to right as its front shows it).

    ``repeat`` is how often the texture repeats across and down; the other arguments are those of :func:`quads`.
    """
    corners, uv = _wall(start, end, height), _tiled(*repeat)
    return quads(corners, texture, uv, tint=tint, kind=kind, shading=shading)


def _wall(start: Sequence[float], end: Sequence[float], height: float) -> list[Sequence[float]]:
    """Return the corners of a vertical quad; see :func:`upright`."""
    x0, y0, z0 = start
    x1, y1, z1 = end
    return [(x0, y0, z0), (x1, y1, z1), (x1, y1, z1 + height), (x0, y0, z0 + height)]


def _tiled(across: float, down: float) -> list[tuple[float, float]]:
    """Return texture coordinates that repeat a texture ``across`` and ``down`` times over a quad."""
    return [(0, down), (across, down), (across, 0), (0, 0)]


def box(
    size: Sequence[float],
    sides: int,
    top: int | None = None,
    *,
    ends: int | None = None,
    repeat: float = 0.0,
    tint: Color = WHITE,
    base: float = 0.0,
    bottom: bool = False,
) -> Mesh:
    """Return a box centred on the z axis, its foot at ``base``.

    Args:
        size: length along x, width along y, height, metres.
        sides: texture of the faces that look along y.
        top: texture of the top; that of the sides if None.
        ends: texture of the faces that look along x; that of the sides if None.
        repeat: metres after which textures repeat; 0 stretches them once over each face.
        tint: colour factor.
        base: height of the foot, metres.
        bottom: add the bottom face, too.
    """
    length, width, height = size
    x, y, z = length / 2, width / 2, base
    top, ends = sides if top is None else top, sides if ends is None else ends
    feet = [((-x, -y), (x, -y)), ((x, y), (-x, y)), ((x, -y), (x, y)), ((-x, y), (-x, -y))]
    lid = [(-x, -y, z + height), (x, -y, z + height), (x, y, z + height), (-x, y, z + height)]
    corners: list[ArrayLike] = [*(_wall((*start, z), (*end, z), height) for start, end in feet), lid]
    uv: list[ArrayLike] = [
        _tiled(*((np.hypot(end[0] - start[0], end[1] - start[1]) / repeat, height / repeat) if repeat else (1.0, 1.0)))
        for start, end in feet
    ]
    uv.append(_flat_uv(lid, repeat))
    textures, tints = [sides, sides, ends, ends, top], [tint] * 5
    if bottom:
        floor = [(x1, y1, z1 - height) for x1, y1, z1 in lid[::-1]]
        corners, textures, tints = [*corners, floor], [*textures, sides], [*tints, tint]
        uv.append(_flat_uv(floor, repeat))
    return quads(np.asarray(corners), textures, np.asarray(uv), tint=np.asarray(tints))


def prism(radius: float, height: float, texture: int, sides: int = 5) -> Mesh:
    """Return an upright prism without lids around the z axis, for poles and trunks."""
    angles = np.arange(sides + 1) * (2 * np.pi / sides)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius
    walls = [_wall((*ring[i], 0.0), (*ring[i + 1], 0.0), height) for i in range(sides)]
    return quads(walls, texture, _tiled(0.2, height / 2))


def loft(
    rings: Sequence[Sequence[float]],
    texture: int,
    sides: int = 6,
    *,
    depth: float = 1.0,
    tint: Color = WHITE,
    repeat: tuple[float, float] = (1.0, 1.0),
) -> Mesh:
    """Return a tube through level rings, open at both ends, for limbs, bodies and leaning trunks.

    Args:
        rings: x, y, z of each ring's middle and its radius along y, metres, from the lowest up.
        texture: index in the atlas.
        sides: number of faces around.
        depth: radius along x as a share of that along y; the same for all rings, which keeps the faces planar.
        tint: colour factor.
        repeat: how often the texture repeats around and along the tube.
    """
    ring = np.asarray(rings, np.float64)
    angles = np.arange(sides + 1) * (2 * np.pi / sides)
    circle = np.stack([depth * np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
    points = ring[:, None, :3] + ring[:, 3, None, None] * circle
    corners = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2)
    across, down = repeat
    uv = np.empty((*corners.shape[:3], 2))
    u, v = np.arange(sides + 1) * (across / sides), down - np.arange(len(ring)) * (down / (len(ring) - 1))
    uv[..., (0, 3), 0], uv[..., (1, 2), 0] = u[:-1, None], u[1:, None]
    uv[..., (0, 1), 1], uv[..., (2, 3), 1] = v[:-1, None, None], v[1:, None, None]
    return quads(corners.reshape(-1, 4, 3), texture, uv.reshape(-1, 4, 2), tint=tint)


def _flat_uv(corners: Sequence[Sequence[float]], repeat: float) -> ArrayLike:
    return np.asarray(corners)[:, :2] / repeat if repeat else _WHOLE
