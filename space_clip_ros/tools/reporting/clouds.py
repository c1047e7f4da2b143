"""Clouds for the page's viewer: points in 16 bits an axis, colours in 8, as text."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector, finite_points
from space_clip_ros.geometry.depth import Depth, invalidate
from space_clip_ros.tools.reporting.pictures import Rgb, Size, resized

MAX_POINTS = 60_000
"""Most points of a cloud."""

MAX_TRUTH_POINTS = 30_000
"""Most points of the truth beside it."""

_GREY = 200
_STEPS = 65535


def encoded_cloud(depth: Depth, image: Rgb | None, camera: PinholeCamera, node: NodeConfig) -> dict[str, Any]:
    """Return a frame's cloud as the viewer reads it.

    Args:
        depth: (h, w) float32 metres.
        image: (H, W, 3) uint8 RGB to colour the points, of any size, or None.
        camera: of ``depth``.
        node: its depth range is kept.

    Returns:
        ``count``; ``low`` and ``high``, metres in the optical frame; ``points``, base64 of little-endian uint16 x y z
        from low to high; ``colors``, base64 of uint8 r g b.
    """
    rgb = np.full((*depth.shape, 3), _GREY, np.uint8)
    if image is not None:
        rgb = resized(image, Size(*depth.shape[::-1]))
    stride = _stride(depth.size)
    cloud = Projector(camera, stride).project(invalidate(depth, node.min_depth, node.max_depth), rgb)
    points, colors = finite_points(cloud)
    return _layer(points, np.zeros_like(points, np.uint8) if colors is None else colors)


def encoded_truth(truth: Depth, camera: PinholeCamera, node: NodeConfig) -> dict[str, Any]:
    """Return the truth's points, (H, W) metres, as :func:`encoded_cloud` does, without colours."""
    own = camera.resized(truth.shape[1], truth.shape[0])
    points, _ = finite_points(Projector(own).project(invalidate(truth, node.min_depth, node.max_depth)))
    return _layer(points[:: max(1, -(-len(points) // MAX_TRUTH_POINTS))], None)


def _stride(pixels: int) -> int:
    return max(1, int(np.ceil(np.sqrt(pixels / MAX_POINTS))))


def _layer(points: NDArray[np.float32], colors: Rgb | None) -> dict[str, Any]:
    low = points.min(axis=0) if len(points) else np.zeros(3, np.float32)
    high = points.max(axis=0) if len(points) else np.ones(3, np.float32)
    span = np.maximum(high - low, 1e-6)
    codes = np.rint((points - low) / span * _STEPS).astype("<u2")
    layer = {"count": len(points), "low": _numbers(low), "high": _numbers(low + span), "points": _text(codes.tobytes())}
    return layer if colors is None else {**layer, "colors": _text(colors.tobytes())}


def _numbers(values: NDArray[np.float32]) -> list[float]:
    return [round(float(value), 4) for value in values]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
