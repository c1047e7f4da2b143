"""Clouds for the page's viewer, as text: 16 bits for each coordinate, 8 for each colour channel."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.cloud import Projector, finite_points
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth, invalidate
from space_clip_ros.tools.reporting.pictures import Size, resized

MAX_POINTS = 60_000
"""Largest number of points in a cloud."""

MAX_TRUTH_POINTS = 30_000
"""Largest number of points of the truth beside it."""

_GREY = 200
_STEPS = 65535


def encoded_cloud(depth: Depth, image: Rgb | None, camera: PinholeCamera, node: NodeConfig) -> dict[str, Any]:
    """Return a frame's cloud in the form that the viewer reads.

    Args:
        depth: (h, w) float32 metres.
        image: (H, W, 3) uint8 RGB to colour the points, of any size, or None.
        camera: camera of ``depth``.
        node: depth outside its range is left out.

    Returns:
        ``count``; ``low`` and ``high``, the corners of the cloud's bounding box, metres in the optical frame;
        ``points``, base64 of little-endian uint16 x y z, 0 at low and 65535 at high; ``colors``, base64 of uint8 r g b.
    """
    rgb = np.full((*depth.shape, 3), _GREY, np.uint8)
    if image is not None:
        rgb = resized(image, Size(*depth.shape[::-1]))
    stride = _stride(depth.size)
    cloud = Projector(camera, stride).project(invalidate(depth, node.min_depth, node.max_depth), rgb)
    points, colors = finite_points(cloud)
    return _encoded(points, np.zeros_like(points, np.uint8) if colors is None else colors)


def encoded_truth(truth: Depth, camera: PinholeCamera, node: NodeConfig) -> dict[str, Any]:
    """Return the points of the truth, (H, W) float32 metres, as :func:`encoded_cloud` does but without colours."""
    own = camera.resized(truth.shape[1], truth.shape[0])
    points, _ = finite_points(Projector(own).project(invalidate(truth, node.min_depth, node.max_depth)))
    return _encoded(points[:: max(1, -(-len(points) // MAX_TRUTH_POINTS))], None)


def _stride(pixels: int) -> int:
    return max(1, int(np.ceil(np.sqrt(pixels / MAX_POINTS))))


def _encoded(points: NDArray[np.float32], colors: Rgb | None) -> dict[str, Any]:
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
