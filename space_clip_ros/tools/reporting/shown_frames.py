"""Chooses the frames that the page shows, and makes their pictures and clouds."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.color import color_table
from space_clip_ros.tools.reporting import page
from space_clip_ros.tools.reporting.clouds import encoded_cloud, encoded_truth
from space_clip_ros.tools.reporting.frame_statistics import FrameStatistics, RecordingStatistics
from space_clip_ros.tools.reporting.pictures import (
    FULL_ERROR,
    data_uri,
    depth_picture,
    depth_scale,
    error_gradient,
    error_picture,
    resized,
    shown_size,
)
from space_clip_ros.tools.reporting.recorded_frames import RecordedFrame
from space_clip_ros.tools.reporting.scan_picture import scan_picture
from space_clip_ros.tools.reporting.uncertainty_picture import (
    colored_uncertainty,
    uncertainty_scale,
    uncertainty_share,
)

_TICKS_M = (1, 2, 5, 10, 20, 40, 80, 160)
# As wide as 30 m of a camera that sees 80 degrees.
_SCAN_SIZE = (640, 360)
_RANKS = ("worst", "second worst", "third worst")


def choose(statistics: RecordingStatistics) -> dict[int, str]:
    """Return the labels of the frames to show, by stamp: the worst ones and the median one.

    Without truth these are the first, the middle and the last one.
    """
    compared = statistics.compared()
    if not compared:
        frames = statistics.frames
        labels: dict[int, str] = {}
        for index, label in ((0, "first"), (len(frames) // 2, "middle"), (-1, "last")):
            labels.setdefault(frames[index].stamp_ns, label)
        return labels
    median = compared[(len(compared) - 1) // 2]
    worst = zip(reversed(compared), _RANKS, strict=False)
    return {**{frame.stamp_ns: label for frame, label in worst}, median.stamp_ns: "median"}


def show_frames(
    frames: Sequence[RecordedFrame], labels: Mapping[int, str], statistics: RecordingStatistics, node: NodeConfig
) -> str:
    """Return the section with each frame's slider and error picture, and the scales of their colours.

    Args:
        frames: the frames to show, in order.
        labels: label of each frame, by its stamp.
        statistics: of the recording.
        node: its depth range and colours.
    """
    figures = {frame.stamp_ns: frame for frame in statistics.frames}
    ramp, ticks = depth_scale(node, _TICKS_M)
    scales = [page.scale(page.picture(ramp, "colours of depth, near to far"), ticks, "Depth")]
    if statistics.metrics:
        full = f"{FULL_ERROR:.0%}"
        ends = [(0.0, f"{full} too near"), (50.0, "exact"), (100.0, f"{full} too far")]
        scales.append(
            page.scale(
                f'<div class="ramp" style="background:linear-gradient(90deg,{error_gradient()})"></div>',
                ends,
                "Error of depth",
            )
        )
    if any(frame.uncertainty is not None for frame in frames):
        ramp, ticks = uncertainty_scale()
        scales.append(page.scale(page.picture(ramp, "colours of uncertainty, sure to unsure"), ticks, "Uncertainty"))
    blocks = [_block(frame, labels[frame.stamp_ns], figures[frame.stamp_ns], node) for frame in frames]
    hint = '<p class="soft">Drag across a picture to go from image to depth.</p>'
    return page.section("Frames", hint, *scales, *blocks)


def show_clouds(clouds: Mapping[str, Any]) -> str:
    """Return the section with the cloud viewer and its controls."""
    options = "".join(
        f'<option value="{number}">{escape(frame["name"])}</option>' for number, frame in enumerate(clouds["frames"])
    )
    truth = ""
    if any("truth" in frame for frame in clouds["frames"]):
        truth = '<label><input type="checkbox" id="cloud-truth"> ground truth (magenta)</label>'
    controls = (
        f'<label>Frame <select id="cloud-frame">{options}</select></label>'
        '<label>Colour <select id="cloud-color"><option value="image">image</option>'
        f'<option value="depth">distance</option></select></label>{truth}'
        '<button type="button" id="cloud-reset">Reset view</button>'
    )
    hint = '<p class="soft">Drag to turn, wheel or pinch to zoom, right button or two fingers to move.</p>'
    viewer = '<div id="viewer"><p>The cloud needs JavaScript and WebGL.</p></div>'
    return page.section("Cloud", hint, f'<div class="controls">{controls}</div>', viewer)


def cloud_data(frames: Sequence[RecordedFrame], labels: Mapping[int, str], node: NodeConfig) -> dict[str, Any] | None:
    """Return the data of the viewer, or None if no frame's camera is known."""
    clouds = []
    for frame in frames:
        if frame.camera is None:
            continue
        cloud = {
            "name": f"{labels[frame.stamp_ns]}, {_clock(frame.stamp_ns)}",
            "cloud": encoded_cloud(frame.depth, frame.image, frame.camera, node),
        }
        if frame.truth is not None:
            cloud["truth"] = encoded_truth(frame.truth, frame.camera, node)
        clouds.append(cloud)
    if not clouds:
        return None
    table = base64.b64encode(color_table(node.color.colormap).tobytes()).decode("ascii")
    return {"frames": clouds, "table": table, "min_depth": node.min_depth, "max_depth": node.max_depth}


def _block(frame: RecordedFrame, label: str, figures: FrameStatistics, node: NodeConfig) -> str:
    base = frame.image if frame.image is not None else frame.depth
    size = shown_size(base.shape[1], base.shape[0])
    what = f"{label} frame, {_clock(frame.stamp_ns)}"
    depth = data_uri(depth_picture(frame.depth, node, size))
    pictures = [page.picture(depth, f"depth, {what}")]
    if frame.image is not None:
        pictures = [page.comparison(data_uri(resized(frame.image, size)), depth, what)]
    note = ""
    if figures.metrics:
        abs_rel, rmse, a1 = (figures.metrics[name] for name in ("abs_rel", "rmse", "a1"))
        note = f": abs_rel {abs_rel:.3f}, rmse {rmse:.2f} m, a1 {a1:.1%}"
    if frame.truth is not None:
        errors = data_uri(error_picture(frame.depth, frame.truth, frame.image, size))
        pictures.append(page.picture(errors, f"relative error, {what}"))
    if frame.uncertainty is not None:
        colors = resized(colored_uncertainty(uncertainty_share(frame.uncertainty, frame.depth)), size)
        uncertainty = page.picture(data_uri(colors), f"uncertainty, {what}")
        pictures.append(page.figure(uncertainty, "Uncertainty: one standard deviation as a share of depth."))
    if frame.scan is not None:
        scan = page.picture(data_uri(scan_picture(frame.scan, *_SCAN_SIZE)), f"scan from above, {what}")
        pictures.append(page.figure(scan, "Scan from above: green is free, red stands in the way, dark is not known."))
    heading = f"<h3>{escape(what[0].upper() + what[1:])}{note}</h3>"
    columns = "".join(f"<div>{picture}</div>" for picture in pictures)
    return f'<div class="frame">{heading}<div class="columns">{columns}</div></div>'


def _clock(stamp_ns: int) -> str:
    time = datetime.datetime.fromtimestamp(stamp_ns // 10**9, datetime.timezone.utc)
    return f"{time:%H:%M:%S}.{stamp_ns // 10**6 % 1000:03d} UTC"
