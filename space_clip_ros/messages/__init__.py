"""The one door to every message conversion of the package; what needs no ROS of them lives with the bags."""

from __future__ import annotations

from space_clip_ros.messages.camera_info import camera_from_info, camera_info_from_camera
from space_clip_ros.messages.clouds import cloud_from_points, cloud_from_scan, dense_cloud, points_from_cloud
from space_clip_ros.messages.color_images import image_to_rgb
from space_clip_ros.messages.compressed_images import compressed_to_rgb
from space_clip_ros.messages.image_building import image_from_array
from space_clip_ros.messages.images import depth_from_image, stamp_ns, stored_pixels

__all__ = [
    "camera_from_info",
    "camera_info_from_camera",
    "cloud_from_points",
    "cloud_from_scan",
    "compressed_to_rgb",
    "dense_cloud",
    "depth_from_image",
    "image_from_array",
    "image_to_rgb",
    "points_from_cloud",
    "stamp_ns",
    "stored_pixels",
]
