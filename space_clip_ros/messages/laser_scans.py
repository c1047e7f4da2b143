"""Planar scans to ``sensor_msgs/LaserScan``, and the frame that they lie in."""

from __future__ import annotations

from typing import Any

import numpy as np

from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages.types import ROS, MessageTypes

_LEVEL = "_level"


def level_frame(image_frame: str) -> str:
    """Return the name of a camera's level frame: its images' frame with ``_level`` appended."""
    return f"{image_frame}{_LEVEL}"


def laser_scan_from_scan(scan: PlanarScan, header: Any, types: MessageTypes = ROS) -> Any:
    """Build a laser scan.

    Args:
        scan: the scan.
        header: the image's ``std_msgs/Header``. The message takes its stamp, and its level frame
            unless the scan names a frame.
        types: where the messages' classes come from.

    Returns:
        A message whose rays all have one time. As in REP 117, a range is inf where nothing is within ``range_max``
        and NaN where nothing is known.
    """
    frame_id = scan.frame_id or level_frame(header.frame_id)
    return types.make(
        "sensor_msgs/msg/LaserScan",
        header=types.make("std_msgs/msg/Header", stamp=header.stamp, frame_id=frame_id),
        angle_min=scan.angle_min,
        angle_max=scan.angle_max,
        angle_increment=scan.angle_increment,
        time_increment=0.0,
        scan_time=scan.scan_time,
        range_min=scan.range_min,
        range_max=scan.range_max,
        ranges=np.ascontiguousarray(scan.ranges, np.float32),
        intensities=np.empty(0, np.float32),
    )


def scan_from_laser_scan(message: Any) -> PlanarScan:
    """Return what a laser scan holds. It holds no camera pose, so that is NaN.

    Args:
        message: a ``sensor_msgs/LaserScan``, or any object with its fields.
    """
    return PlanarScan(
        np.asarray(message.ranges, np.float32),
        float(message.angle_min),
        float(message.angle_increment),
        float(message.range_min),
        float(message.range_max),
        np.full((4, 4), np.nan),
        str(message.header.frame_id),
        float(message.scan_time),
    )
