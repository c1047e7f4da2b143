"""Colours of uncertainty: one standard deviation as a share of depth, on one fixed scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.color import Rgb, color_table
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.tools.reporting.pictures import data_uri

SURE, UNSURE = 0.05, 1.0
"""Shares of depth at the dark and at the bright end. The scale is logarithmic: equal steps of colour are equal ratios,
so that it also suits models that are twice as sure as ours. Shares beyond an end have that end's colour."""

_COLORMAP = "viridis"
"""Differs from the colour map of depth, so that the two are not confused."""
_TICKS = (0.05, 0.1, 0.2, 0.5, 1.0)


def uncertainty_share(uncertainty: Depth, depth: Depth) -> NDArray[np.float32]:
    """Return one standard deviation as a share of depth, (h, w) float32, NaN where either is unknown.

    Args:
        uncertainty: (h, w) float32, one standard deviation of depth, metres, NaN invalid.
        depth: (h, w) float32 metres, NaN or 0 invalid.

    Raises:
        InputError: their sizes differ.
    """
    if uncertainty.shape != depth.shape:
        (rows, columns), (depth_rows, depth_columns) = uncertainty.shape, depth.shape
        raise InputError(f"uncertainty is {columns}x{rows} pixels, depth {depth_columns}x{depth_rows}")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(depth > 0, uncertainty / depth, np.float32(np.nan))


def colored_uncertainty(share: NDArray[np.float32]) -> Rgb:
    """Return shares of depth, (h, w), in colours, (h, w, 3) uint8 RGB: dark is sure, bright is unsure, NaN is black."""
    known = np.isfinite(share)
    logs = np.log(np.clip(np.where(known, share, SURE), SURE, UNSURE) / SURE)
    # Index 0 is black.
    index = np.rint(1 + logs * (254 / math.log(UNSURE / SURE))).astype(np.uint8)
    return np.asarray(color_table(_COLORMAP)[np.where(known, index, 0), 0], np.uint8)


def uncertainty_ramp(steps: int) -> Rgb:
    """Return the colours from sure to unsure, (steps, 3) uint8 RGB."""
    (row,) = colored_uncertainty(np.geomspace(SURE, UNSURE, steps, dtype=np.float32)[None])
    return np.asarray(row, np.uint8)


def uncertainty_ticks() -> Sequence[tuple[float, str]]:
    """Return position, 0 to 1, and label of the scale's ticks."""
    span = math.log(UNSURE / SURE)
    return [(math.log(tick / SURE) / span, f"{tick:.0%}") for tick in _TICKS]


def uncertainty_scale() -> tuple[str, list[tuple[float, str]]]:
    """Return the scale for a page: a picture's data URI, and position in percent and label of each tick."""
    strip = np.repeat(uncertainty_ramp(512)[None], 8, axis=0)
    return data_uri(strip), [(100 * position, label) for position, label in uncertainty_ticks()]
