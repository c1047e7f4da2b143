"""Objects found in a cloud: a name, how sure, and a box in metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.geometry.depth import quantile
from space_clip_ros.geometry.ground_plane import GroundPlane

_SMALLEST_M = 0.01
_OUTLIER = 3 * 1.4826
"""Deviations from the median that still belong to an object, in median absolute deviations: three standard deviations
of a normal distribution."""
_TIGHTEST = 0.02
_PERCENTILES = (5, 95)
_NEAR = 0.2
"""A column is as far away as this quantile of its pixels."""
_LEAST_DEPTH = 0.1
"""Regions with depth on a smaller share of their pixels, such as sky, get no box."""
_ENOUGH = 1000
"""Most points for medians and percentiles; more cost time and change little."""


_ON_GROUND = 0.1
"""A region is ground itself if its median height above it is at most this share of the camera's: 16 cm at 1.65 m."""

Box = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Centre and size, metres."""


@dataclass(frozen=True)
class DetectedObject:
    """An object that was found.

    Attributes:
        label: number of its name.
        name: what it is.
        score: how likely it is that, 0 to 1.
        center: x, y, z of the middle of its box, metres.
        size: extent of the box along the same axes, metres, above 0.
        patches: its area in the image, in patches of the model.
    """

    label: int
    name: str
    score: float
    center: tuple[float, float, float]
    size: tuple[float, float, float]
    patches: float


class Region(NamedTuple):
    """A connected region of a mask.

    Attributes:
        window: the rows and columns around it.
        mask: (h, w) bool, its pixels in that window.
        area: how many they are.
    """

    window: tuple[slice, slice]
    mask: NDArray[np.bool_]
    area: int


def connected_regions(mask: NDArray[np.bool_]) -> list[Region]:
    """Return the connected regions of an (H, W) mask; pixels that touch at a corner are connected."""
    count, regions, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    kept = []
    for region in range(1, count):
        left, top, width, height, area = (int(value) for value in facts[region])
        window = (slice(top, top + height), slice(left, left + width))
        kept.append(Region(window, regions[window] == region, area))
    return kept


def visible_box(points: NDArray[np.float32], mask: NDArray[np.bool_], ground: GroundPlane | None) -> Box | None:
    """Return the box around the visible part of an object.

    Networks blur depth: an object's upper parts lean back towards the background, while its foot has the depth of the
    ground it stands on. Objects stand upright, so each column of the region is taken to be as far away as its near
    pixels, the 20th percentile, before :func:`robust_box` is called. A region that is the ground itself, such as the
    road, stays as it is.

    Args:
        points: (h, w, 3) float32 x y z in metres in an optical frame, organised as the image is, NaN where invalid.
        mask: (h, w) bool, the object's pixels.
        ground: the ground in the same frame; None where unknown, and every region is taken to stand.

    Returns:
        Centre and size, metres; None if less than a tenth of the pixels have depth.
    """
    chosen = points[mask]
    if np.count_nonzero(np.isfinite(chosen[:, 2])) < _LEAST_DEPTH * len(chosen):
        return None
    if ground is not None and _is_ground(chosen, ground):
        return robust_box(chosen)
    near = quantile(np.where(mask, points[..., 2], np.float32(np.nan)), _NEAR, axis=0)
    return robust_box(chosen * (near[np.nonzero(mask)[1]] / chosen[:, 2])[:, None])


def _is_ground(points: NDArray[np.float32], ground: GroundPlane) -> bool:
    heights = ground.heights(points)
    heights = heights[np.isfinite(heights)]
    return heights.size > 0 and float(np.median(np.abs(heights))) <= _ON_GROUND * ground.height_m


def robust_box(points: NDArray[np.float32]) -> Box | None:
    """Return the box of most of an object's points, along the axes.

    Around an object its label also covers some of what is behind it. So points whose depth is further from the median
    than three standard deviations, estimated by the median absolute deviation, are left out, and the box reaches from
    the 5th to the 95th percentile of the rest. It holds the surface that the camera sees, not the far side.

    Args:
        points: (n, 3) float32 x y z in metres in an optical frame; those without depth, NaN in z, are left out. Of more
            than a thousand, every n-th is taken.

    Returns:
        Centre and size, metres; None without a finite point.
    """
    points = points[np.isfinite(points[:, 2])]
    points = points[:: max(len(points) // _ENOUGH, 1)]
    if not len(points):
        return None
    z = points[:, 2]
    middle = float(np.median(z))
    spread = max(float(np.median(np.abs(z - middle))), _TIGHTEST * middle)
    low, high = np.percentile(points[np.abs(z - middle) <= _OUTLIER * spread], _PERCENTILES, axis=0)
    center, size = (low + high) / 2, np.maximum(high - low, _SMALLEST_M)
    return (
        (float(center[0]), float(center[1]), float(center[2])),
        (float(size[0]), float(size[1]), float(size[2])),
    )
