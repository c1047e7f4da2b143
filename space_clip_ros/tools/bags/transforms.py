"""The coordinate frames of KITTI's car, as a tree of transforms (REP 103 and 105).

``base_link`` is the point of the ground below the laser scanner, with the scanner's axes: x forward, y left, z up.
Below it are ``velodyne``, the optical frame of every camera (x right, y down, z forward) and, where the day's
calibration has it, ``imu_link``. A transform is a (4, 4) matrix: the child's pose in its parent's frame, metres.
"""

from __future__ import annotations

import numpy as np

from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.geometry.rigid import Matrix

SCANNER_HEIGHT_M = 1.73
"""Height of KITTI's laser scanner above the road, metres (Geiger et al., IJRR 2013, figure 3)."""

BASE_FRAME = "base_link"
SCANNER_FRAME = "velodyne"
IMU_FRAME = "imu_link"
MAP_FRAME = "map"
CAMERA_FRAMES = {
    0: "camera_gray_optical_frame",
    1: "camera_gray_right_optical_frame",
    2: "camera_color_optical_frame",
    3: "camera_color_right_optical_frame",
}


def base_to_scanner() -> Matrix:
    """Return the scanner's pose in ``base_link``, (4, 4) float64, metres."""
    pose = np.eye(4)
    pose[2, 3] = SCANNER_HEIGHT_M
    return pose


def scanner_to_camera(drive: KittiDrive) -> Matrix:
    """Return the pose of a drive's camera in the scanner's frame, (4, 4) float64, metres.

    KITTI gives the transform of points from the scanner to the rectified camera 0, which is the inverse of camera 0's
    pose. From there to camera n, points move by K^-1 times the fourth column of its P_rect.
    """
    to_camera = np.eye(4)
    to_camera[:3, 3] = np.linalg.solve(drive.projection[:, :3], drive.projection[:, 3])
    pose: Matrix = np.linalg.inv(to_camera @ drive.velodyne_to_camera).astype(np.float64)
    return pose
