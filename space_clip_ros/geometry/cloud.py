"""Turns depth maps into organised point clouds, ready to be copied into a PointCloud2.

A cloud is one contiguous float32 array (h, w, 3) or, coloured, (h, w, 4): x, y, z in metres in the camera's optical
frame, and as fourth value the bits of 0x00RRGGBB, PCL's packed ``rgb``. That is a point step of 12 or 16 bytes with
fields at offsets 0, 4, 8 and 12, without padding: readers use the declared offsets. Invalid points are NaN in
x, y and z; no invalid depth ever becomes a point at the origin.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth, check_map, invalidate, invalidate_beyond, valid

Cloud = npt.NDArray[np.float32]

_NEIGHBOURS = np.ones((3, 3), np.uint8)
_BLOCK = 6
"""Pixels a side. A network blurs an edge over several pixels, and the middle of the blur looks like a plane, so
whatever is in the block of an edge or beside it counts as near it."""


class Projector:
    """Turns one camera's depth maps into clouds; keeps the camera's rays and buffers between calls.

    Not thread-safe: calls share buffers. The caller owns the returned cloud.

    Args:
        camera: the depth map's camera.
        stride: take every n-th pixel in both directions, starting at the top left.

    Raises:
        InputError: a stride below 1.
    """

    def __init__(self, camera: PinholeCamera, stride: int = 1) -> None:
        """Compute the rays."""
        if stride < 1:
            raise InputError(f"stride must be at least 1, got {stride}")
        self.camera = camera
        self.stride = stride
        columns = (np.arange(0, camera.width, stride) - camera.cx) / camera.fx
        rows = (np.arange(0, camera.height, stride) - camera.cy) / camera.fy
        self.shape = (rows.size, columns.size)
        self._x_rays = columns.astype(np.float32)
        self._y_rays = rows.astype(np.float32)[:, None]
        self._valid = np.empty(self.shape, np.float32)
        self._x = np.empty(self.shape, np.float32)
        self._y = np.empty(self.shape, np.float32)
        self._bgra = np.empty((rows.size, camera.width, 4), np.uint8)
        # At stride 1 the packed colours need no buffer of their own.
        self._colors = self._bgra.view(np.uint32)[..., 0] if stride == 1 else np.empty(self.shape, np.uint32)

    def project(
        self,
        depth: Depth,
        rgb: Rgb | None = None,
        max_range: float = 0.0,
        clearing: bool = False,
        out: Cloud | None = None,
        heights: tuple[float, float] | None = None,
        tested: bool = False,
    ) -> Cloud:
        """Project a depth map: x = (u - cx) / fx * z, y = (v - cy) / fy * z.

        Args:
            depth: (H, W) float32 metres, of the camera's size.
            rgb: (H, W, 3) uint8 of the same size to colour the points, or None.
            max_range: points beyond this z become NaN, metres; 0 for no limit.
            clearing: move points beyond ``max_range``, also infinite ones, to ``max_range`` instead, so that a costmap
                clears along their rays.
            out: contiguous float32 array of the result's shape to write into; None for a new one.
            heights: lowest and highest height above the camera (-y) to keep, metres, or None for all.
            tested: ``depth`` already is NaN wherever it is invalid, as
                :func:`~space_clip_ros.geometry.depth.invalidate` returns it; skips the test.

        Returns:
            (h, w, 3) or, with ``rgb``, (h, w, 4) float32; the module's docstring describes it.

        Raises:
            InputError: sizes or types that do not fit, a negative range, clearing without a range, or a lowest height
                above the highest.
        """
        self._check(depth, rgb, max_range, clearing)
        channels = 3 if rgb is None else 4
        cloud = self._target(channels, out)
        z = self._z(depth, max_range, clearing, tested)
        if heights is not None:
            z = self._crop(z, *heights)
        planes = [np.multiply(z, self._x_rays, out=self._x), np.multiply(z, self._y_rays, out=self._y), z]
        if rgb is not None:
            planes.append(self._packed(rgb))
        cv2.merge(planes, cloud)
        return cloud

    def _z(self, depth: Depth, max_range: float, clearing: bool, tested: bool) -> Depth:
        z = np.ascontiguousarray(depth[:: self.stride, :: self.stride], dtype=np.float32)
        if clearing:
            z = np.minimum(z, np.float32(max_range))
        if tested and (clearing or not max_range):
            return z
        if tested:
            return invalidate_beyond(z, max_range, out=self._valid)
        return invalidate(z, max_depth=max_range or np.inf, out=self._valid)

    def _crop(self, z: Depth, lowest: float, highest: float) -> Depth:
        if not lowest <= highest:
            raise InputError(f"heights must be lowest and highest, metres above the camera, got {lowest}, {highest}")
        y = np.multiply(z, self._y_rays, out=self._y)
        return np.where((y < -highest) | (y > -lowest), np.float32(np.nan), z)

    def _packed(self, rgb: Rgb) -> npt.NDArray[np.float32]:
        return packed_colors(rgb[:: self.stride], self.stride, self._bgra, self._colors)

    def _target(self, channels: int, out: Cloud | None) -> Cloud:
        shape = (*self.shape, channels)
        if out is None:
            return np.empty(shape, np.float32)
        if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise InputError(f"out must be contiguous float32 of shape {shape}, got {out.dtype} of shape {out.shape}")
        return out

    def _check(self, depth: Depth, rgb: Rgb | None, max_range: float, clearing: bool) -> None:
        check_map(depth)
        size = (self.camera.height, self.camera.width)
        if depth.shape != size:
            raise InputError(f"depth must have the camera's shape {size}, got {depth.shape}")
        if rgb is not None and (rgb.shape != (*size, 3) or rgb.dtype != np.uint8):
            raise InputError(f"rgb must be uint8 of shape {(*size, 3)}, got {rgb.dtype} of shape {rgb.shape}")
        if not max_range >= 0:
            raise InputError(f"max_range must be 0 or more metres, got {max_range}")
        if clearing and not 0 < max_range < np.inf:
            raise InputError("clearing needs a finite max_range above 0")


def packed_colors(
    rgb: Rgb,
    column_stride: int = 1,
    bgra: npt.NDArray[np.uint8] | None = None,
    out: npt.NDArray[np.uint32] | None = None,
) -> npt.NDArray[np.float32]:
    """Return colours as a cloud has them: float32 whose bits are 0x00RRGGBB.

    Args:
        rgb: (H, W, 3) uint8.
        column_stride: take every n-th column.
        bgra: (H, W, 4) uint8 to work in; None for new memory.
        out: (H, w) uint32 to write into, perhaps the same memory as ``bgra``; None for new memory.

    Returns:
        (H, w) float32.
    """
    words = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA, dst=bgra).view(np.uint32)[:, ::column_stride, 0]
    # Clears the fourth byte, which OpenCV sets to 255.
    return np.bitwise_and(words, 0x00FFFFFF, out=out).view(np.float32)


def finite_points(cloud: Cloud) -> tuple[Cloud, Rgb | None]:
    """Return a cloud's valid points, (N, 3) float32 metres, and their colours, (N, 3) uint8 RGB or None.

    Raises:
        InputError: the cloud is not float32 of shape (..., 3) or (..., 4).
    """
    if cloud.dtype != np.float32 or cloud.ndim < 2 or cloud.shape[-1] not in (3, 4):
        raise InputError(f"a cloud must be float32 (..., 3) or (..., 4), got {cloud.dtype} of shape {cloud.shape}")
    kept = cloud[np.isfinite(cloud[..., :3]).all(axis=-1)]
    if cloud.shape[-1] == 3:
        return kept, None
    packed = np.ascontiguousarray(kept[:, 3:]).view(np.uint8)
    return np.ascontiguousarray(kept[:, :3]), np.ascontiguousarray(packed[:, 2::-1])


def without_discontinuities(depth: Depth, max_jump: float) -> Depth:
    """Return depth with NaN where interpolated pixels float between two surfaces, and on the far side of every edge.

    The nearest pixel of a neighbourhood always stays, so that nothing thin is lost. So does a plane, however obliquely
    it is seen: its inverse depth is linear in the picture, and nearest and furthest lie equally far from the middle.
    Anything else is an edge, and only pixels near an edge are removed.

    Args:
        depth: (H, W) float32 metres.
        max_jump: largest allowed ratio of the furthest to the nearest valid depth in a pixel's 3x3 neighbourhood,
            minus one; 0.1 allows 10 %.

    Raises:
        InputError: ``max_jump`` is not above 0, or ``depth`` is not (H, W) floating point.
    """
    check_map(depth)
    if not max_jump > 0:
        raise InputError(f"max_jump must be above 0, got {max_jump}")
    kept = valid(depth)
    # Allocating memory takes longer than the work itself, so all three steps use the result's.
    holes, solid = ~kept, np.array(depth, np.float32)
    np.putmask(solid, holes, 0)
    furthest = cv2.dilate(solid, _NEIGHBOURS)
    np.putmask(solid, holes, np.inf)
    nearest = cv2.erode(solid, _NEIGHBOURS)
    np.putmask(solid, holes, np.nan)
    allowed = np.multiply(furthest, np.float32(1 / (1 + max_jump)), out=furthest)
    places = np.flatnonzero(nearest < allowed)
    z, near, far = solid.ravel()[places], nearest.ravel()[places], allowed.ravel()[places] * np.float32(1 + max_jump)
    # At the border and beside holes a plane's neighbourhood has one side only.
    whole = cv2.erode(kept.view(np.uint8), _NEIGHBOURS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    bent = (np.abs(far / near + 1 - 2 * far / z) > max_jump / 2) & (whole.ravel()[places] > 0)
    rows, columns = np.divmod(places, depth.shape[1])
    rows //= _BLOCK
    columns //= _BLOCK
    edges = np.zeros((depth.shape[0] // _BLOCK + 1, depth.shape[1] // _BLOCK + 1), np.uint8)
    edges[rows[bent], columns[bent]] = 1
    lost = (cv2.dilate(edges, _NEIGHBOURS)[rows, columns] > 0) & (z > near * np.float32(1 + max_jump / 2))
    solid.ravel()[places[lost]] = np.nan
    return solid
