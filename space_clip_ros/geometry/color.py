"""Colours depth maps on one fixed scale, so that a colour means the same depth in every frame.

The scale is logarithmic with one metre added: t = log((1 + max) / (1 + d)) / log((1 + max) / (1 + min)). Beyond a few
metres, equal steps of colour are equal ratios of distance; without the added metre, the first metre alone would take a
third of the colours. Near is the map's bright end (t = 1), far its dark end, invalid is black.
"""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.depth import Depth, check_map, valid

Rgb = npt.NDArray[np.uint8]

_MAPS = {
    "turbo": cv2.COLORMAP_TURBO,
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "jet": cv2.COLORMAP_JET,
}


def colorize(depth: Depth, colormap: str, min_depth: float, max_depth: float) -> Rgb:
    """Colour a depth map.

    Args:
        depth: (H, W) float32 metres; NaN, 0 and below, and depth outside [min_depth, max_depth] become black.
        colormap: turbo, inferno, magma, viridis or jet.
        min_depth: depth of the bright end, metres.
        max_depth: depth of the dark end, metres.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: an unknown colour map, an empty or infinite range, or ``depth`` is not (H, W) floating point.
    """
    table = color_table(colormap)
    check_map(depth)
    if not (0 <= min_depth < max_depth and math.isfinite(max_depth)):
        raise InputError(f"colour scale must run from min_depth up to a finite max_depth, got {min_depth}, {max_depth}")
    metres = np.ascontiguousarray(depth, dtype=np.float32)
    # Index 0 is black, 1 is far, 255 is near.
    steps = 254.0 / math.log((1 + max_depth) / (1 + min_depth))
    # NaN becomes max_depth here and black below: OpenCV's logarithm takes seven times as long over NaN.
    logs = cv2.log(np.fmin(metres, np.float32(max_depth)) + np.float32(1.0))
    index = np.asarray(cv2.convertScaleAbs(logs, None, -steps, 1 + steps * math.log1p(max_depth)), dtype=np.uint8)
    index *= valid(metres, min_depth, max_depth).view(np.uint8)
    return np.asarray(cv2.applyColorMap(index, table), dtype=np.uint8)


def color_ramp(min_depth: float, max_depth: float, steps: int) -> Depth:
    """Return (steps,) float32 metres from the nearest to the furthest depth, one colour's step apart."""
    ramp = np.expm1(np.linspace(np.log1p(min_depth), np.log1p(max_depth), steps))
    return np.asarray(ramp.clip(min_depth, max_depth), np.float32)


def color_position(depth_m: float, min_depth: float, max_depth: float) -> float:
    """Return where a depth, metres, is on the colour scale, from 0 (``min_depth``) to 1 (``max_depth``)."""
    return math.log((1 + depth_m) / (1 + min_depth)) / math.log((1 + max_depth) / (1 + min_depth))


@functools.cache
def color_table(colormap: str) -> Rgb:
    """Return a map's colours, (256, 1, 3) uint8 RGB: black for invalid, then far to near.

    Raises:
        InputError: an unknown colour map.
    """
    if colormap not in _MAPS:
        raise InputError(f"colour map must be one of {', '.join(_MAPS)}, got {colormap!r}")
    bgr = cv2.applyColorMap(np.arange(256, dtype=np.uint8), _MAPS[colormap])
    table = np.array(bgr.reshape(256, 1, 3)[..., ::-1], dtype=np.uint8)
    table[0] = 0
    table.flags.writeable = False
    return table
