"""Draws views from above: of a planar scan (free, blocked, unknown), and of boxes with names."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages.semantics import NamedBox

_BACKGROUND, _RINGS, _INK = (24, 26, 30), (70, 74, 82), (200, 204, 210)
_FREE, _BLOCKED = (28, 74, 54), (255, 96, 64)
_MARGIN = 8
_RING_M = 10.0
_SMALLEST_BOX_M = 0.5
_SHIFT = 4
"""Fractional bits of OpenCV's coordinates."""


def scan_picture(scan: PlanarScan, width: int, height: int) -> Rgb:
    """Return a picture of a scan from above, x up and y to the left, on the fixed scale of its ``range_max``.

    Green is seen to be free, a red dot is the nearest obstacle on its bearing, and unknown bearings stay dark. Rings
    lie 10 m apart.

    Args:
        scan: the scan; its middle bearing points up.
        width: pixels.
        height: pixels.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    picture: Rgb = np.full((height, width, 3), _BACKGROUND, np.uint8)
    # The middle of the view points up, wherever the scan's own x points.
    middle = (scan.angle_min + scan.angle_max) / 2
    eye = np.array([width / 2, height - _MARGIN])
    scale = (height - 2 * _MARGIN) / scan.range_max

    def pixels(bearing: NDArray[np.floating], distance: NDArray[np.floating]) -> NDArray[np.int32]:
        turned = bearing - middle
        offset = np.stack([-np.sin(turned), -np.cos(turned)], axis=-1) * (distance * scale)[..., None]
        return np.asarray(np.rint((eye + offset) * (1 << _SHIFT)), np.int32)

    bearing = scan.angle_min + scan.angle_increment * np.arange(len(scan.ranges))
    known = ~np.isnan(scan.ranges)
    reach = np.minimum(scan.ranges[known].astype(np.float64), scan.range_max)
    half = scan.angle_increment / 2
    start = np.broadcast_to(pixels(np.zeros(1), np.zeros(1)), (len(reach), 2))
    left, right = (pixels(bearing[known] + side * half, reach) for side in (1, -1))
    for wedge in np.stack([start, left, right], axis=1):
        cv2.fillConvexPoly(picture, wedge, _FREE, cv2.LINE_AA, _SHIFT)
    _draw_rings(picture, eye, scale, scan.range_max)
    hit = np.isfinite(scan.ranges) & (scan.ranges <= scan.range_max)
    for x, y in pixels(bearing[hit], scan.ranges[hit].astype(np.float64)):
        cv2.circle(picture, (int(x), int(y)), 2 << _SHIFT, _BLOCKED, -1, cv2.LINE_AA, _SHIFT)
    return picture


def boxes_picture(boxes: Sequence[NamedBox], width: int, height: int, range_m: float = 40.0) -> Rgb:
    """Return a picture of boxes from above, with the camera at the bottom in the middle, looking up.

    Args:
        boxes: in the camera's optical frame.
        width: pixels.
        height: pixels.
        range_m: distance at the upper edge, metres; boxes beyond it are left out.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    picture: Rgb = np.full((height, width, 3), _BACKGROUND, np.uint8)
    eye, scale = np.array([width / 2, height - _MARGIN]), (height - 2 * _MARGIN) / range_m
    _draw_rings(picture, eye, scale, range_m)
    # The nearest last, so that its name is on top.
    for box in sorted(boxes, key=lambda box: -box.center[2]):
        if box.center[2] > range_m:
            continue
        center, half = np.array(box.center)[[0, 2]], np.maximum(np.array(box.size)[[0, 2]], _SMALLEST_BOX_M) / 2
        corners = np.rint(eye + np.stack([center - half, center + half]) * (scale, -scale)).astype(int)
        color = tuple(round(255 * part) for part in box.color)
        cv2.rectangle(picture, tuple(corners[0].tolist()), tuple(corners[1].tolist()), color, -1, cv2.LINE_AA)
        at = (int(corners[1, 0]) + 4, int(corners.mean(axis=0)[1]) + 4)
        cv2.putText(picture, box.text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, _INK, 1, cv2.LINE_AA)
    return picture


def _draw_rings(picture: Rgb, eye: NDArray[np.floating], scale: float, range_max: float) -> None:
    center = (round(float(eye[0])), round(float(eye[1])))
    for ring in np.arange(_RING_M, range_max + 1e-6, _RING_M).tolist():
        cv2.circle(picture, center, round(ring * scale), _RINGS, 1, cv2.LINE_AA)
        at = (center[0] + 4, max(center[1] - round(ring * scale) + 12, 12))
        cv2.putText(picture, f"{ring:g} m", at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, _INK, 1, cv2.LINE_AA)
    cv2.circle(picture, center, 3, _INK, -1, cv2.LINE_AA)
