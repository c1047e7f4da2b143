"""Times each message conversion of the node by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from std_msgs.msg import Header

from space_clip_ros.config import NodeConfig
from space_clip_ros.geometry.cloud import Projector
from space_clip_ros.geometry.color import colorize
from space_clip_ros.geometry.depth import invalidate, to_millimetres
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages import cloud_from_points, image_from_array, image_to_rgb
from space_clip_ros.messages.laser_scans import laser_scan_from_scan
from space_clip_ros.tools.benchmark.placeholder import placeholder_camera, placeholder_images
from space_clip_ros.tools.latency import percentiles

_NEAREST_M, _FURTHEST_M = 3.0, 70.0
_BEARINGS = 164


def time_conversions(width: int, height: int, stride: int, runs: int) -> dict[str, dict[str, float]]:
    """Return p50, p95, p99 and max of every conversion, milliseconds.

    Args:
        width: of the image, pixels.
        height: of the image, pixels.
        stride: of the cloud, pixels.
        runs: how often each is timed, after one run that does not count.
    """
    conversions = _conversions(width, height, stride)
    return {name: percentiles(_times_ms(convert, runs)) or {} for name, convert in conversions.items()}


def _conversions(width: int, height: int, stride: int) -> dict[str, Callable[[], object]]:
    header, settings = Header(), NodeConfig()
    rgb = placeholder_images(width, height)[0]
    rgb8, bgr8 = (image_from_array(rgb, encoding, header) for encoding in ("rgb8", "bgr8"))
    rows = np.linspace(_FURTHEST_M, _NEAREST_M, height, dtype=np.float32)
    depth = np.repeat(rows[:, None], width, axis=1)
    max_range = settings.points.max_range
    projector = Projector(placeholder_camera(width, height), stride)
    points = np.empty((*projector.shape, 4), np.float32)
    scan = PlanarScan(np.ones(_BEARINGS, np.float32), -0.7, 0.0087, 0.1, 30.0, np.eye(4))
    scale = (settings.color.colormap, settings.min_depth, settings.max_depth)
    return {
        "rgb8 image to RGB (a view)": lambda: image_to_rgb(rgb8),
        "bgr8 image to RGB": lambda: image_to_rgb(bgr8),
        "depth cut to its range": lambda: invalidate(depth, settings.min_depth, settings.max_depth),
        "depth to 32FC1 image": lambda: image_from_array(depth, "32FC1", header),
        "depth to 16UC1 image": lambda: image_from_array(to_millimetres(depth), "16UC1", header),
        "depth to rgb8 colours": lambda: image_from_array(colorize(depth, *scale), "rgb8", header),
        "depth to coloured points": lambda: projector.project(depth, rgb, max_range, out=points, tested=True),
        "points to cloud": lambda: cloud_from_points(points, header),
        "scan to message": lambda: laser_scan_from_scan(scan, header),
    }


def _times_ms(convert: Callable[[], object], runs: int) -> list[float]:
    convert()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        convert()
        times.append((time.perf_counter() - start) * 1e3)
    return times
