"""Exact rasterisation: finds the pixel centres that each planar quad covers, without clipping or loops over quads.

A convex quad in perspective covers the rays inside the pyramid of its four edge planes, and its inverse depth is affine
in the image. Both are linear functions of pixel coordinates, also for corners behind the camera (Olano and Greer,
"Triangle scan conversion using 2D homogeneous coordinates", 1997). Array operations cut all quads into pixel rows at
once, and all rows into fragments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.camera import PinholeCamera

Floats = NDArray[np.floating]

NEAR_M = 0.3
"""Surfaces nearer than this along the optical axis are not drawn, metres."""

_EDGE_ON = 1e-7


@dataclass(frozen=True)
class Facets:
    """Quads ready to be drawn: everything is affine in pixel coordinates (x, y, 1).

    Attributes:
        edges: (N, E, 3) float64; a pixel is covered where all E products with (x, y, 1) are >= 0.
        value: (N, 3) float64; inverse depth or height. Where quads overlap, the largest value is visible.
        box: (N, 4) float64; left, top, right, bottom bounds in pixels.
        index: (N,) intp; the quad's row in the caller's mesh.
    """

    edges: Floats
    value: Floats
    box: Floats
    index: NDArray[np.intp]

    def select(self, rows: NDArray[np.intp]) -> Facets:
        """Return some of the quads."""
        return Facets(self.edges[rows], self.value[rows], self.box[rows], self.index[rows])


@dataclass(frozen=True)
class Fragments:
    """Pixels covered by each quad, as a flat list.

    Attributes:
        pixel: (F,) intp, y * width + x.
        facet: (F,) intp, row of the :class:`Facets`.
        value: (F,) float32, the facet's value there.
    """

    pixel: NDArray[np.intp]
    facet: NDArray[np.intp]
    value: NDArray[np.float32]

    def select(self, rows: NDArray[np.intp]) -> Fragments:
        """Return some of the fragments."""
        return Fragments(self.pixel.take(rows), self.facet.take(rows), self.value.take(rows))


def normals(quads: Floats) -> Floats:
    """Return (N, 3) unnormalised normals of (N, 4, 3) quads; a triangle repeats its third corner."""
    return cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])


def cross(first: Floats, second: Floats) -> Floats:
    """Return the cross products of (..., 3) vectors of one shape; np.cross spends most of its time on axes."""
    result = np.empty(first.shape, np.float64)
    for axis, (a, b) in enumerate(((1, 2), (2, 0), (0, 1))):
        np.multiply(first[..., a], second[..., b], out=result[..., axis])
        result[..., axis] -= first[..., b] * second[..., a]
    return result


def perspective(quads: Floats, camera: PinholeCamera, two_sided: NDArray[np.bool_], far: float) -> Facets:
    """Prepare quads given in camera coordinates (x right, y down, z forward, metres).

    Args:
        quads: (N, 4, 3) corners of convex planar quads, counter-clockwise seen from the visible side.
        camera: where the pixels are.
        two_sided: (N,) whether a quad is visible from both sides.
        far: quads wholly beyond this z are not drawn, metres.
    """
    depth = quads[:, :, 2]
    nearest = depth.min(axis=1)
    seen = np.flatnonzero((depth.max(axis=1) > NEAR_M) & (nearest < far))
    quads, nearest = quads[seen], nearest[seen]
    normal = normals(quads)
    offset = np.einsum("ij,ij->i", normal, quads[:, 0])
    box = _perspective_box(quads, nearest, camera)
    inside = (box[:, 0] < camera.width) & (box[:, 1] < camera.height) & (box[:, 2] >= 0) & (box[:, 3] >= 0)
    size = np.linalg.norm(normal, axis=1)
    facing = np.where(two_sided[seen], np.abs(offset), -offset) > _EDGE_ON * size
    keep = np.flatnonzero(inside & facing)
    quads, normal, offset, box = quads[keep], normal[keep], offset[keep], box[keep]
    to_rays = np.array(
        [[1 / camera.fx, 0, 0], [0, 1 / camera.fy, 0], [-camera.cx / camera.fx, -camera.cy / camera.fy, 1]]
    )
    sides = cross(quads, np.roll(quads, -1, axis=1)) * np.sign(offset)[:, None, None]
    inverse_depth = (normal / offset[:, None]) @ to_rays.T
    not_too_near = -inverse_depth + np.array([0, 0, 1 / NEAR_M])
    edges = np.concatenate([sides @ to_rays.T, not_too_near[:, None]], axis=1)
    return Facets(edges, inverse_depth, box, seen[keep])


def orthographic(quads: Floats, width: int, height: int) -> Facets:
    """Prepare quads given as (x pixels, y pixels, value) for a parallel projection; both sides are visible.

    Args:
        quads: (N, 4, 3) corners.
        width: image width, pixels.
        height: image height, pixels.
    """
    low, high = quads.min(axis=1), quads.max(axis=1)
    box = np.concatenate([low[:, :2], high[:, :2]], axis=1)
    normal = normals(quads)
    inside = (box[:, 0] < width) & (box[:, 1] < height) & (box[:, 2] >= 0) & (box[:, 3] >= 0)
    keep = np.flatnonzero(inside & (np.abs(normal[:, 2]) > _EDGE_ON * np.linalg.norm(normal, axis=1)))
    quads, normal, box = quads[keep], normal[keep], box[keep]
    following = np.roll(quads, -1, axis=1)
    sides = np.stack(
        [
            quads[..., 1] - following[..., 1],
            following[..., 0] - quads[..., 0],
            quads[..., 0] * following[..., 1] - following[..., 0] * quads[..., 1],
        ],
        axis=-1,
    )
    slope = -normal[:, :2] / normal[:, 2:]
    start = quads[:, 0, 2] - np.einsum("ij,ij->i", slope, quads[:, 0, :2])
    value = np.concatenate([slope, start[:, None]], axis=1)
    return Facets(sides * np.sign(normal[:, 2])[:, None, None], value, box, keep)


def fragments(facets: Facets, width: int, height: int) -> Fragments:
    """Return every pixel centre that every quad covers."""
    facet, y, left, right = _spans(facets, width, height)
    length = (right - left + 1).clip(0).astype(np.intp)
    filled = np.flatnonzero(length > 0)
    facet, y = facet.take(filled), y.take(filled)
    left, length = left.take(filled), length.take(filled)
    slope, along, constant = (column.take(facet) for column in np.ascontiguousarray(facets.value.T))
    # Row starts are exact in float64; along a row the value grows by its slope, in float32, on few pixels.
    start = slope * left + along * y + constant
    first = np.cumsum(length) - length
    step = np.arange(length.sum())
    pixel = step + np.repeat(y * width + left.astype(np.intp) - first, length)
    step -= np.repeat(first, length)
    value = step.astype(np.float32)
    value *= np.repeat(slope.astype(np.float32), length)
    value += np.repeat(start.astype(np.float32), length)
    return Fragments(pixel, np.repeat(facet, length), value)


def _spans(facets: Facets, width: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
    """Return the quad, the row, and the first and last column of every pixel row that a quad may cover."""
    low, high = np.ceil(facets.box[:, :2]), np.floor(facets.box[:, 2:])
    low, high = np.maximum(low, 0), np.minimum(high, (width - 1, height - 1))
    top = low[:, 1].astype(np.intp)
    count = np.maximum(high[:, 1].astype(np.intp) - top + 1, 0)
    facet = np.repeat(np.arange(len(count)), count)
    y = np.arange(len(facet)) + np.repeat(top - np.cumsum(count) + count, count)
    # All sides at once, (sides, rows): for small batches the number of calls is what costs time.
    slope, along, constant = np.ascontiguousarray(facets.edges.T)
    rest = np.repeat(along, count, axis=1)
    rest *= y.astype(np.float64)
    rest += np.repeat(constant, count, axis=1)
    level = slope == 0
    left, right = np.repeat(low[:, 0], count), np.repeat(high[:, 0], count)
    # A side parallel to the rows passes whole rows or rejects them; a triangle's zero-length side rejects none.
    if (level & ((along != 0) | (constant < 0))).any():
        right[((rest < 0) & np.repeat(level, count, axis=1)).any(axis=0)] = -1
    rest *= np.repeat(-1 / np.where(level, np.inf, slope), count, axis=1)
    np.maximum(left, (rest + np.repeat(np.where(slope > 0, 0, -np.inf), count, axis=1)).max(axis=0), out=left)
    np.minimum(right, (rest + np.repeat(np.where(slope < 0, 0, np.inf), count, axis=1)).min(axis=0), out=right)
    return facet, y, np.ceil(left, out=left), np.floor(right, out=right)


def _perspective_box(quads: Floats, nearest: Floats, camera: PinholeCamera) -> Floats:
    """Return (N, 4) image bounds of the part of each quad beyond the near plane."""
    box = _bounds(quads, camera)
    across = np.flatnonzero(nearest <= NEAR_M)
    start = quads[across]
    end = np.roll(start, -1, axis=1)
    # The points where sides cross the near plane bound the visible part, together with the corners beyond it.
    drop = start[..., 2] - end[..., 2]
    share = ((start[..., 2] - NEAR_M) / np.where(drop == 0, 1, drop)).clip(0, 1)[..., None]
    cut = start + (end - start) * share
    box[across] = _bounds(np.concatenate([start, cut], axis=1), camera)
    return box


def _bounds(points: Floats, camera: PinholeCamera) -> Floats:
    """Return (N, 4) image bounds of (N, P, 3) points, ignoring those in front of the near plane."""
    z = np.maximum(points[..., 2], NEAR_M)
    x = points[..., 0] / z * camera.fx + camera.cx
    y = points[..., 1] / z * camera.fy + camera.cy
    before = points[..., 2] < NEAR_M * (1 - 1e-9)
    low = [np.where(before, np.inf, axis).min(axis=1) for axis in (x, y)]
    high = [np.where(before, -np.inf, axis).max(axis=1) for axis in (x, y)]
    return np.stack([*low, *high], axis=1)
