"""The demo's ``report.png``: image, depth, LiDAR truth and cloud of a few frames, on one colour scale in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.color import Rgb, color_position, color_ramp
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages.semantics import NamedBox
from space_clip_ros.tools.demo.cloud_view import CloudView, splat
from space_clip_ros.tools.reporting.pictures import colored, darkened
from space_clip_ros.tools.reporting.scan_picture import boxes_picture, scan_picture
from space_clip_ros.tools.reporting.uncertainty_picture import (
    colored_uncertainty,
    uncertainty_ramp,
    uncertainty_share,
    uncertainty_ticks,
)

_PANEL_WIDTH = 800
_GAP = 6
_WIDTH = 2 * _PANEL_WIDTH + _GAP
_MARGIN = 14
_BAR_MARGIN = 30
_BAR_WIDTH = _WIDTH - 2 * _BAR_MARGIN
_PANEL_HEIGHTS = (160, 600)
"""Lowest and highest panel: a picture of another shape stands in its middle."""
_ALONE = 2
"""How many times as high as a picture the cloud's own row is, at most ``_ALONE_HEIGHT`` pixels."""
_ALONE_HEIGHT = 490
_CLOUD_SHARE = 3 / 8
"""Least share of a row's width that the cloud keeps beside the views from straight above."""
_STACKED = 0.8
"""Views from above are put below each other if they keep this share of their size, which leaves the cloud more."""
_LINE_HEIGHT = 26
_INK = (232, 234, 237)
_PAPER = (16, 17, 20)
_STREET_M = 80.0
_DEPTH_SCALE = "depth, on one colour scale for every picture:"
_UNCERTAINTY_SCALE = "uncertainty, one standard deviation as a share of depth, on one scale too:"
_TICKS_M = (0.5, 1, 2, 3, 5, 10, 20, 30, 40, 60, 80)


@dataclass(frozen=True)
class KeptFrame:
    """Outputs of one frame.

    Attributes:
        index: number of the frame in the source.
        depth: (h, w) float32 metres, NaN invalid.
        points: (N, 3) float32 metres in the optical frame, NaN invalid.
        colors: (N, 3) uint8 RGB of the points.
        scan: planar scan, drawn from above; None if the picture showed no ground.
        uncertainty: (h, w) float32, one standard deviation of depth, metres, NaN invalid; None if the model gives none.
        boxes: objects found by name, in the optical frame; None without queries.
    """

    index: int
    depth: Depth
    points: NDArray[np.float32]
    colors: Rgb
    scan: PlanarScan | None = None
    uncertainty: Depth | None = None
    boxes: Sequence[NamedBox] | None = None


@dataclass(frozen=True, kw_only=True)
class ReportFrame(KeptFrame):
    """A frame's outputs with what the report shows beside them.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        truth: (H, W) float32 metres, NaN where unknown.
        note: a few words about this frame, such as its error.
    """

    image: Rgb
    truth: Depth
    note: str = ""


def draw_report(frames: Sequence[ReportFrame], title: str, lines: Sequence[str], node: NodeConfig) -> Rgb:
    """Draw the report.

    Args:
        frames: from top to bottom; all images must have one size.
        title: heading.
        lines: text under the heading.
        node: its colour map and depth range give the scale.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    blocks = [_frame(frame, node) for frame in frames]
    rows = [_text(title, 0.8, 34), *(_text(line, 0.5, _LINE_HEIGHT) for line in lines)]
    rows += [_text(_DEPTH_SCALE, 0.5, _LINE_HEIGHT), _depth_bar(node)]
    if any(frame.uncertainty is not None for frame in frames):
        rows += [_text(_UNCERTAINTY_SCALE, 0.5, _LINE_HEIGHT), _uncertainty_bar()]
    page = np.concatenate([strip for row in (*rows, *blocks) for strip in (row, _blank(_GAP, _WIDTH))])
    return cv2.copyMakeBorder(page, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=_PAPER)  # type: ignore[return-value]


def _frame(frame: ReportFrame, node: NodeConfig) -> Rgb:
    """Draw a frame: pictures two by two, then the cloud and the views from above.

    An odd picture shares its row with the cloud; otherwise the cloud has its own, higher row.
    """
    rows, columns = frame.image.shape[:2]
    height = int(np.clip(round(_PANEL_WIDTH * rows / columns), *_PANEL_HEIGHTS))
    shrink = min(_PANEL_WIDTH / columns, height / rows)
    size = (max(1, round(columns * shrink)), max(1, round(rows * shrink)))
    image = _resized(frame.image, size)
    pictures = {
        f"image, frame {frame.index}": image,
        f"depth{frame.note and f', {frame.note}'}": _resized(colored(frame.depth, node), size),
    }
    if np.isfinite(frame.truth).any():
        pictures["LiDAR ground truth"] = _dots(image, frame.truth, node)
    if frame.uncertainty is not None:
        share = uncertainty_share(frame.uncertainty, frame.depth)
        pictures["uncertainty of depth"] = _resized(colored_uncertainty(share), size)
    panels = [_labelled(_padded(picture, _PANEL_WIDTH, height), label) for label, picture in pictures.items()]
    page = [panels[start : start + 2] for start in range(0, len(panels), 2)]
    if len(page[-1]) == 2:
        height = min(_ALONE * height, _ALONE_HEIGHT)
        page.append([])
    page[-1] += _seen_from_above(frame, node, _WIDTH - len(page[-1]) * (_PANEL_WIDTH + _GAP), height)
    strips = [strip for row in page for strip in (_blank(_GAP, _WIDTH), _beside(row))]
    return np.concatenate(strips[1:])


def _seen_from_above(frame: ReportFrame, node: NodeConfig, width: int, height: int) -> list[Rgb]:
    """Return the cloud and, to its right, the square views from straight above, side by side or stacked."""
    count = (frame.scan is not None) + (frame.boxes is not None)
    room = int(width * (1 - _CLOUD_SHARE))
    beside = min(height, room // max(count, 1) - _GAP)
    below = min((height - _GAP) // 2, room - _GAP)
    stacked = count == 2 and below > _STACKED * beside
    side = below if stacked else beside
    squares = []
    if frame.scan is not None:
        squares.append(_labelled(scan_picture(frame.scan, side, side), "scan from above"))
    if frame.boxes is not None:
        squares.append(_labelled(boxes_picture(frame.boxes, side, side), "found by name, from above"))
    if stacked:
        squares = [np.concatenate([strip for square in squares for strip in (_blank(_GAP, side), square)][1:])]
    view = CloudView(width - len(squares) * (side + _GAP), height, scale=node.max_depth / _STREET_M)
    cloud = _labelled(view.draw(frame.points, frame.colors), "cloud from the depth, from above and left of the camera")
    return [cloud, *(_padded(column, side, height) for column in squares)]


def _padded(picture: Rgb, width: int, height: int) -> Rgb:
    """Return a picture in the middle of a panel of this size."""
    top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    panel = np.full((height, width, 3), _PAPER, np.uint8)
    panel[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return panel


def _resized(picture: Rgb, size: tuple[int, int]) -> Rgb:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _dots(image: Rgb, truth: NDArray[np.float32], node: NodeConfig) -> Rgb:
    """Draw the truth's sparse pixels as dots large enough to see, on the darkened image."""
    picture = darkened(image, 0.3)
    rows, columns = np.nonzero(np.isfinite(truth))
    values = truth[rows, columns]
    scale = (picture.shape[1] / truth.shape[1], picture.shape[0] / truth.shape[0])
    pixels = (np.stack([columns, rows], axis=1) + 0.5) * scale - 0.5
    colors = colored(truth, node)[rows, columns]
    splat(picture, pixels, colors, values.astype(np.float64), radius=1)
    return picture


def _depth_bar(node: NodeConfig) -> Rgb:
    """Draw the colours from the nearest to the furthest depth."""
    low, high = node.min_depth, node.max_depth
    ramp = colored(color_ramp(low, high, _BAR_WIDTH)[None], node)[0]
    ticks = [(color_position(tick, low, high), f"{tick:g} m") for tick in _TICKS_M if low <= tick <= high]
    return _scale_bar(ramp, ticks)


def _uncertainty_bar() -> Rgb:
    return _scale_bar(uncertainty_ramp(_BAR_WIDTH), uncertainty_ticks())


def _scale_bar(ramp: Rgb, ticks: Sequence[tuple[float, str]]) -> Rgb:
    """Draw colours, (bar's width, 3), with labelled ticks, whose positions run from 0 to 1."""
    bar = _blank(44, _WIDTH)
    bar[2:22, _BAR_MARGIN:-_BAR_MARGIN] = ramp
    for position, label in ticks:
        x = _BAR_MARGIN + round(position * (_BAR_WIDTH - 1))
        cv2.line(bar, (x, 18), (x, 26), _INK, 1)
        (text_width, _), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
        at = (min(x - text_width // 2, _WIDTH - text_width), 40)
        cv2.putText(bar, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return bar


def _labelled(panel: Rgb, label: str) -> Rgb:
    (text_width, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    corner = panel[: text_height + 12, : text_width + 14]
    np.floor_divide(corner, 3, out=corner)
    cv2.putText(panel, label, (7, text_height + 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return panel


def _text(text: str, size: float, height: int) -> Rgb:
    strip = _blank(height, _WIDTH)
    cv2.putText(strip, text, (2, height - 9), cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)
    return strip


def _beside(panels: Sequence[Rgb]) -> Rgb:
    """Return panels of one height in a row."""
    gap = _blank(panels[0].shape[0], _GAP)
    return np.concatenate([strip for panel in panels for strip in (gap, panel)][1:], axis=1)


def _blank(height: int, width: int) -> Rgb:
    return np.full((height, width, 3), _PAPER, np.uint8)
