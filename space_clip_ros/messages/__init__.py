"""ROS messages to arrays and back: pictures, depth, clouds and calibrations. Needs no rclpy."""

from __future__ import annotations

from space_clip_ros.messages.camera_info import calibration_from_info, camera_info_from_camera
from space_clip_ros.messages.clouds import cloud_from_points, cloud_from_scan, points_from_cloud, xyz_from_cloud
from space_clip_ros.messages.color_images import image_to_rgb
from space_clip_ros.messages.compressed_images import compressed_to_rgb
from space_clip_ros.messages.images import (
    compressed_from_array,
    depth_from_image,
    header_at,
    image_from_array,
    nanoseconds,
    stamp_ns,
    stored_pixels,
    time_at,
)

__all__ = [
    "calibration_from_info",
    "camera_info_from_camera",
    "cloud_from_points",
    "cloud_from_scan",
    "compressed_from_array",
    "compressed_to_rgb",
    "depth_from_image",
    "header_at",
    "image_from_array",
    "image_to_rgb",
    "nanoseconds",
    "points_from_cloud",
    "stamp_ns",
    "stored_pixels",
    "time_at",
    "xyz_from_cloud",
]
