"""The page's pictures: image, depth and error of a frame, as data URIs of bounded size."""

from __future__ import annotations

import base64
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.color import Rgb, color_position, color_ramp, colorize
from space_clip_ros.geometry.depth import Depth, resize_bilinear

MAX_BYTES = 220_000
"""Largest picture, bytes, before it is encoded as text."""

MAX_SIDE = 1280
"""Longest side of a picture, pixels."""

FULL_ERROR = 0.5
"""Relative error from which on the colour is strongest."""

_QUALITIES = (88, 75, 60, 45, 30, 15, 5)
_DOT = 3
_TOO_NEAR, _EXACT, _TOO_FAR = (40, 110, 255), (245, 245, 245), (255, 60, 40)


class Size(NamedTuple):
    """A picture's size, pixels."""

    width: int
    height: int


def shown_size(width: int, height: int, longest: int = MAX_SIDE) -> Size:
    """Return the size to show a picture at: its own, or smaller, with ``longest`` pixels on its longer side."""
    scale = min(1.0, longest / max(width, height))
    return Size(max(1, round(width * scale)), max(1, round(height * scale)))


def resized(picture: Rgb, size: Size) -> Rgb:
    """Return (H, W, 3) uint8 at another size."""
    smaller = size.width < picture.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=interpolation), np.uint8)


def darkened(image: Rgb, brightness: float) -> Rgb:
    """Return (H, W, 3) uint8 RGB in grey, with its brightness multiplied by a number from 0 to 1."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return (grey * brightness).astype(np.uint8)


def data_uri(picture: Rgb, max_bytes: int = MAX_BYTES) -> str:
    """Return (H, W, 3) uint8 RGB as the data URI of a JPEG, with the best quality that fits ``max_bytes``.

    Raises:
        DataError: not even the poorest quality fits.
    """
    bgr = np.ascontiguousarray(picture[..., ::-1])
    for quality in _QUALITIES:
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if data.size <= max_bytes:
            return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
    raise DataError(f"a picture of {picture.shape[1]}x{picture.shape[0]} pixels does not fit {max_bytes} bytes")


def depth_picture(depth: Depth, node: NodeConfig, size: Size) -> Rgb:
    """Return depth, (h, w) metres, in the node's colours, resized to ``size``."""
    return resized(colored(depth, node), size)


def colored(depth: Depth, node: NodeConfig) -> Rgb:
    """Return depth, (h, w) metres, in the node's colours, (h, w, 3) uint8 RGB."""
    return colorize(depth, node.color.colormap, node.min_depth, node.max_depth)


def error_picture(depth: Depth, truth: Depth, image: Rgb | None, size: Size) -> Rgb:
    """Draw the relative error as dots on the darkened image.

    Args:
        depth: (h, w) float32 metres.
        truth: (H, W) float32 metres, NaN or 0 where unknown.
        image: (H', W', 3) uint8 RGB, or None for black.
        size: of the result.

    Returns:
        uint8 RGB of that size: blue where depth is too near, white where it is exact, red where it is too far, and
        strongest from :data:`FULL_ERROR` on. Each pixel of the truth is a dot, so that a sparse truth can be seen.
    """
    picture: Rgb = np.zeros((size.height, size.width, 3), np.uint8)
    if image is not None:
        picture = darkened(resized(image, size), 0.35)
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
    """Return the colours, (N, 3) uint8 RGB, of (N,) relative errors: below 0 is too near, above 0 too far."""
    share = np.clip(error / FULL_ERROR, -1, 1)[:, None]
    ends = np.where(share < 0, np.array(_TOO_NEAR, np.float64), np.array(_TOO_FAR, np.float64))
    return np.asarray(np.rint(_EXACT + (ends - _EXACT) * np.abs(share)), np.uint8)


def error_gradient() -> str:
    """Return the colours of :func:`error_colors` from too near to too far, as a CSS gradient's stops."""
    return ", ".join(f"rgb{color}" for color in (_TOO_NEAR, _EXACT, _TOO_FAR))


def depth_scale(node: NodeConfig, ticks_m: tuple[float, ...]) -> tuple[str, list[tuple[float, str]]]:
    """Return the colour scale of depth, near to far.

    Args:
        node: its depth range and colours.
        ticks_m: depths to mark, metres; those out of range are left out.

    Returns:
        A picture's data URI, and position in percent and label of each tick.
    """
    low, high = node.min_depth, node.max_depth
    strip = np.repeat(color_ramp(low, high, 512)[None], 8, axis=0)
    ticks = [(100 * color_position(tick, low, high), f"{tick:g} m") for tick in ticks_m if low <= tick <= high]
    return data_uri(colored(strip, node)), ticks
