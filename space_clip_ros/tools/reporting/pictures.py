"""The page's pictures: image, depth and error of a frame, each encoded within a bound, as data URIs."""

from __future__ import annotations

import base64
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.color import colorize
from space_clip_ros.geometry.depth import Depth, resize_bilinear

Rgb = NDArray[np.uint8]

MAX_BYTES = 220_000
"""Most bytes of one picture, before they are written as text."""

MAX_SIDE = 1280
"""Most pixels of a picture's longer side."""

FULL_ERROR = 0.5
"""Relative error with the full colour."""

_QUALITIES = (88, 75, 60, 45, 30, 15, 5)
_DOT = 3
# Where depth is too near, right, and too far.
_TOO_NEAR, _EXACT, _TOO_FAR = (40, 110, 255), (245, 245, 245), (255, 60, 40)


class Size(NamedTuple):
    """A picture's size, pixels."""

    width: int
    height: int


def shown_size(width: int, height: int, longest: int = MAX_SIDE) -> Size:
    """Return the size to show a picture at: its own, or with ``longest`` pixels on its longer side."""
    scale = min(1.0, longest / max(width, height))
    return Size(max(1, round(width * scale)), max(1, round(height * scale)))


def resized(picture: Rgb, size: Size) -> Rgb:
    """Return (H, W, 3) uint8 at another size, smaller or larger."""
    smaller = size.width < picture.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)


def data_uri(picture: Rgb, most: int = MAX_BYTES) -> str:
    """Return (H, W, 3) uint8 RGB as a JPEG's data URI, of as good a quality as fits ``most`` bytes.

    Raises:
        DataError: not even a poor one fits.
    """
    bgr = np.ascontiguousarray(picture[..., ::-1])
    for quality in _QUALITIES:
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if data.size <= most:
            return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
    raise DataError(f"a picture of {picture.shape[1]}x{picture.shape[0]} pixels does not fit {most} bytes")


def depth_picture(depth: Depth, node: NodeConfig, size: Size) -> Rgb:
    """Return depth, (h, w) metres, in the node's colours and at ``size``."""
    return resized(colorize(depth, node.color.colormap, node.min_depth, node.max_depth), size)


def error_picture(depth: Depth, truth: Depth, image: Rgb | None, size: Size) -> Rgb:
    """Return the relative error as dots on the darkened image.

    Args:
        depth: (h, w) float32 metres.
        truth: (H, W) float32 metres, NaN or 0 where unknown.
        image: (H', W', 3) uint8 RGB, or None for black.
        size: of the result.

    Returns:
        ``size``, uint8 RGB: blue where depth is too near, white where it is right, red where it is too far; full
        colour from :data:`FULL_ERROR` on. Each pixel of the truth is a dot, so that sparse ones show.
    """
    picture = np.zeros((size.height, size.width, 3), np.uint8)
    if image is not None:
        grey = cv2.cvtColor(cv2.cvtColor(resized(image, size), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        picture[:] = grey * 0.35
    with np.errstate(invalid="ignore", divide="ignore"):
        error = (resize_bilinear(depth, *truth.shape[::-1]) - truth) / truth
    rows, columns = np.nonzero(np.isfinite(error) & (truth > 0))
    colors = error_colors(error[rows, columns])
    scale = (size.height / truth.shape[0], size.width / truth.shape[1])
    for down in range(_DOT):
        for right in range(_DOT):
            y = ((rows + 0.5) * scale[0]).astype(np.intp) + down - _DOT // 2
            x = ((columns + 0.5) * scale[1]).astype(np.intp) + right - _DOT // 2
            picture[y.clip(0, size.height - 1), x.clip(0, size.width - 1)] = colors
    return picture


def error_colors(error: NDArray[np.float32]) -> Rgb:
    """Return (N, 3) uint8 RGB of (N,) relative errors, below 0 too near, above 0 too far."""
    share = np.clip(error / FULL_ERROR, -1, 1)[:, None]
    ends = np.where(share < 0, np.array(_TOO_NEAR, np.float64), np.array(_TOO_FAR, np.float64))
    return np.asarray(np.rint(_EXACT + (ends - _EXACT) * np.abs(share)), np.uint8)


def error_gradient() -> str:
    """Return the colours of :func:`error_colors` from too near to too far, for a style sheet."""
    return ", ".join(f"rgb{color}" for color in (_TOO_NEAR, _EXACT, _TOO_FAR))


def depth_scale(node: NodeConfig, ticks: tuple[float, ...]) -> tuple[str, list[tuple[float, str]]]:
    """Return the colours of the depth, near to far, as a picture's data URI, and ticks as percent and label."""
    ends = np.log1p([node.min_depth, node.max_depth])
    ramp = np.expm1(np.linspace(ends[0], ends[1], 512)).clip(node.min_depth, node.max_depth)
    strip = np.repeat(ramp[None].astype(np.float32), 8, axis=0)
    colors = colorize(strip, node.color.colormap, node.min_depth, node.max_depth)
    places = [
        (float((np.log1p(tick) - ends[0]) / (ends[1] - ends[0])) * 100, f"{tick:g} m")
        for tick in ticks
        if node.min_depth <= tick <= node.max_depth
    ]
    return data_uri(colors), places
