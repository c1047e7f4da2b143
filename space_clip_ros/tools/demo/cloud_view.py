"""Draws a point cloud as seen from above and beside the camera, with NumPy and OpenCV only."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BACKGROUND = (24, 26, 30)
_LINES = (255, 255, 255)
_OUTLINE = (0, 0, 0)
_EYE_M = np.array([-11.0, -8.0, -5.0])
_TARGET_M = np.array([0.0, 0.5, 14.0])
_FOCAL_PER_WIDTH = 0.54
_NEAR_M = 0.5
_MARKS_M = (10.0, 20.0, 30.0, 40.0)


class CloudView:
    """Draws clouds from a fixed viewpoint in the optical frame (x right, y down, z forward), so that frames compare."""

    def __init__(self, width: int, height: int, scale: float = 1.0) -> None:
        """``width`` and ``height`` are pixels; ``scale`` 1 suits a street, and less moves the viewpoint closer."""
        self._size = (width, height)
        self._scale = scale
        self._rotation = _look_at(_EYE_M, _TARGET_M)

    def draw(self, points: NDArray[np.float32], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw points, nearer ones over further ones.

        Args:
            points: (N, 3) metres in the optical frame; points that are not finite are left out.
            colors: (N, 3) uint8 RGB.

        Returns:
            (height, width, 3) uint8 RGB.
        """
        width, height = self._size
        picture = np.full((height, width, 3), _BACKGROUND, np.uint8)
        finite = np.isfinite(points).all(axis=1)
        pixels, distance = self._project(points[finite].astype(np.float64))
        splat(picture, pixels, colors[finite], distance, radius=1)
        self._draw_camera(picture)
        return picture

    def _project(self, points: Floats) -> tuple[Floats, Floats]:
        """Return (N, 2) pixels and (N,) distances along the view; NaN behind the eye."""
        width, height = self._size
        seen = (points - _EYE_M * self._scale) @ self._rotation.T
        distance = np.where(seen[:, 2] > _NEAR_M * self._scale, seen[:, 2], np.nan)
        pixels = seen[:, :2] / distance[:, None] * (_FOCAL_PER_WIDTH * width)
        return pixels + np.array([(width - 1) / 2, (height - 1) / 2]), distance

    def _draw_camera(self, picture: NDArray[np.uint8]) -> None:
        """Draw the camera's frustum, and marks every ten metres along its axis."""
        corners = np.array([(-1.6, -0.5, 2.0), (1.6, -0.5, 2.0), (1.6, 0.5, 2.0), (-1.6, 0.5, 2.0)])
        marks = np.array([(0.0, 0.0, z) for z in (0.0, *_MARKS_M)])
        shape, _ = self._project(np.concatenate([corners, marks]) * self._scale)
        for start, end in ((0, 1), (1, 2), (2, 3), (3, 0), (4, 0), (4, 1), (4, 2), (4, 3), (4, 8)):
            _line(picture, shape[start], shape[end])
        for mark, pixel in zip(_MARKS_M, shape[5:], strict=True):
            at = (round(pixel[0]), round(pixel[1]))
            cv2.circle(picture, at, 3, _LINES, -1, cv2.LINE_AA)
            label, corner = f"{mark * self._scale:g} m", (at[0] + 5, at[1] - 5)
            for color, thickness in ((_OUTLINE, 3), (_LINES, 1)):
                cv2.putText(picture, label, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, thickness, cv2.LINE_AA)


def splat(
    picture: NDArray[np.uint8],
    pixels: NDArray[np.floating],
    colors: NDArray[np.uint8],
    distance: NDArray[np.floating],
    radius: int,
) -> None:
    """Paint square dots into ``picture`` in place, the nearest one on top.

    Args:
        picture: (H, W, 3) uint8.
        pixels: (N, 2) x and y of the dots' centres; NaN or outside is left out.
        colors: (N, 3) uint8.
        distance: (N,) metres.
        radius: dots are ``2 radius + 1`` pixels wide.
    """
    height, width = picture.shape[:2]
    with np.errstate(invalid="ignore"):
        shown = ((pixels >= -0.5) & (pixels < (width - 0.5, height - 0.5))).all(axis=1)
    order = np.flatnonzero(shown)[np.argsort(-distance[shown], kind="stable")]
    x, y = np.rint(pixels[order]).astype(np.intp).T
    ordered = colors[order]
    # The nearest dot wins a pixel whatever its offset: dots are numbered from far to near, and each pixel takes the
    # highest number over all offsets.
    winner = np.full((height, width), -1, np.intp)
    numbers = np.arange(len(order))
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            rows, columns = np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)
            np.maximum.at(winner, (rows, columns), numbers)
    painted = winner >= 0
    picture[painted] = ordered[winner[painted]]


def _line(picture: NDArray[np.uint8], start: Floats, end: Floats) -> None:
    if np.isfinite(start).all() and np.isfinite(end).all():
        first, last = ((round(point[0]), round(point[1])) for point in (start, end))
        cv2.line(picture, first, last, _LINES, 1, cv2.LINE_AA)


def _look_at(eye: Floats, target: Floats) -> Floats:
    """Return the rotation whose rows are the view's right, down and forward axes."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])
