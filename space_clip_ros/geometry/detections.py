"""Objects found in a cloud: a name, how sure, and a box in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SMALLEST_M = 0.01
_OUTLIER = 3 * 1.4826
"""Deviations from the median that still belong to an object, in median absolute deviations: three standard deviations
of a normal distribution."""
_TIGHTEST = 0.02
_PERCENTILES = (5, 95)
_ENOUGH = 1000
"""Points of which medians and percentiles are taken; more cost time and change them little."""


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


def robust_box(
    points: NDArray[np.float32],
) -> tuple[tuple[float, float, float], tuple[float, float, float]] | None:
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
