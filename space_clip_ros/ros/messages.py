"""The one door to every message conversion of the package; what needs no ROS of them lives with the bags."""

from __future__ import annotations

from space_clip_ros.bags.color_messages import image_to_rgb
from space_clip_ros.bags.compressed_messages import compressed_to_rgb
from space_clip_ros.bags.image_messages import depth_from_image, stamp_ns, stored_pixels
from space_clip_ros.ros.camera_messages import camera_from_info, camera_info_from_camera
from space_clip_ros.ros.cloud_messages import cloud_from_points, cloud_from_scan, dense_cloud, points_from_cloud
from space_clip_ros.ros.image_messages import image_from_array

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
