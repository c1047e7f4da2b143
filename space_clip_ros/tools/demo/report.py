"""The demo's ``report.png``: image, depth, LiDAR truth and cloud of a few frames, on one colour scale in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.tools.demo.cloud_view import CloudView, splat
from space_clip_ros.tools.reporting.pictures import colored, darkened, depth_ramp, scale_position
from space_clip_ros.tools.reporting.scan_picture import scan_picture

_PANEL_WIDTH = 800
_GAP = 6
_MARGIN = 14
_LINE_HEIGHT = 26
_INK = (232, 234, 237)
_PAPER = (16, 17, 20)
_STREET_M = 80.0
_TICKS_M = (0.5, 1, 2, 3, 5, 10, 20, 30, 40, 60, 80)


@dataclass(frozen=True)
class ReportFrame:
    """One frame of the report.

    Attributes:
        index: number of the frame in the drive.
        image: (H, W, 3) uint8 RGB.
        depth: (h, w) float32 metres, NaN invalid.
        truth: (H, W) float32 metres, NaN where unknown.
        points: (N, 3) float32 metres in the optical frame, NaN invalid.
        colors: (N, 3) uint8 RGB of the points.
        note: a few words about this frame, such as its error.
        scan: what stands in the way, drawn from above; None where it is unknown.
    """

    index: int
    image: Rgb
    depth: NDArray[np.float32]
    truth: NDArray[np.float32]
    points: NDArray[np.float32]
    colors: Rgb
    note: str = ""
    scan: PlanarScan | None = None


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
    width = 2 * _PANEL_WIDTH + _GAP
    rows = [_text(title, width, 0.8, 34), *(_text(line, width, 0.5, _LINE_HEIGHT) for line in lines)]
    rows += [_scale_bar(width, node), *blocks]
    page = np.concatenate([strip for row in rows for strip in (row, _blank(_GAP, width))])
    return cv2.copyMakeBorder(page, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=_PAPER)  # type: ignore[return-value]


def _frame(frame: ReportFrame, node: NodeConfig) -> Rgb:
    height = round(_PANEL_WIDTH * frame.image.shape[0] / frame.image.shape[1])
    size = (_PANEL_WIDTH, height)
    image = _resized(frame.image, size)
    depth = _resized(colored(frame.depth, node), size)
    # The scan is a square beside the cloud.
    cloud_width = _PANEL_WIDTH - (0 if frame.scan is None else height + _GAP)
    view = CloudView(cloud_width, height, scale=node.max_depth / _STREET_M)
    panels = {
        f"image, frame {frame.index}": image,
        f"depth{frame.note and f', {frame.note}'}": depth,
        "LiDAR ground truth": _dots(image, frame.truth, node),
        "cloud from the depth, from above and left of the camera": view.draw(frame.points, frame.colors),
    }
    labelled = [_labelled(panel, label) for label, panel in panels.items()]
    if frame.scan is not None:
        labelled[-1] = _beside(labelled[-1], _labelled(scan_picture(frame.scan, height, height), "scan from above"))
    top, bottom = (_beside(labelled[start], labelled[start + 1]) for start in (0, 2))
    return np.concatenate([top, _blank(_GAP, top.shape[1]), bottom])


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


def _scale_bar(width: int, node: NodeConfig) -> Rgb:
    """Draw the colours from the nearest to the furthest depth, with ticks in metres."""
    bar = _blank(44, width)
    bar[2:22, 30 : width - 30] = colored(depth_ramp(node, width - 60)[None], node)
    for tick in (tick for tick in _TICKS_M if node.min_depth <= tick <= node.max_depth):
        x = 30 + round(scale_position(tick, node) * (width - 61))
        cv2.line(bar, (x, 18), (x, 26), _INK, 1)
        label = f"{tick:g} m"
        (text_width, _), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
        at = (min(x - text_width // 2, width - text_width), 40)
        cv2.putText(bar, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return bar


def _labelled(panel: Rgb, label: str) -> Rgb:
    (text_width, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    corner = panel[: text_height + 12, : text_width + 14]
    np.floor_divide(corner, 3, out=corner)
    cv2.putText(panel, label, (7, text_height + 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return panel


def _text(text: str, width: int, size: float, height: int) -> Rgb:
    strip = _blank(height, width)
    cv2.putText(strip, text, (2, height - 9), cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)
    return strip


def _beside(left: Rgb, right: Rgb) -> Rgb:
    return np.concatenate([left, _blank(_GAP, left.shape[0]).transpose(1, 0, 2), right], axis=1)


def _blank(height: int, width: int) -> Rgb:
    return np.full((height, width, 3), _PAPER, np.uint8)
