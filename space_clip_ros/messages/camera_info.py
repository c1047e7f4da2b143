"""``sensor_msgs/CameraInfo`` and cameras."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera


def camera_info_from_camera(camera: PinholeCamera, header: Any) -> CameraInfo:
    """Build the camera_info of an undistorted image.

    Args:
        camera: intrinsics for exactly that image.
        header: the image's ``std_msgs/Header``, shared and not copied.

    Returns:
        A message with K, P = [K | 0], R = identity and a plumb_bob model of zero distortion.
    """
    message = CameraInfo()
    message.header = header
    message.width, message.height = camera.width, camera.height
    message.distortion_model = "plumb_bob"
    message.d = [0.0] * 5
    fx, fy, cx, cy = map(float, (camera.fx, camera.fy, camera.cx, camera.cy))
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


def camera_from_info(msg: Any, what: str = "camera_info", *, rectified: bool = True) -> PinholeCamera:
    """Return the pinhole camera that a camera_info describes at its full resolution.

    Args:
        msg: a ``sensor_msgs/CameraInfo``, or any object with its fields.
        what: what to call it in errors, usually the topic.
        rectified: read P, which describes the rectified image (K where P is all zero, as monocular drivers leave
            it); otherwise K, which describes the raw image.

    Returns:
        The camera of ``msg.width`` x ``msg.height`` pixels; binning and region of interest are not applied.

    Raises:
        InputError: a size of zero, or a focal length or principal point that is not finite or not above zero.
    """
    K = np.array(msg.k, np.float64).reshape(3, 3)
    P = np.array(msg.p, np.float64).reshape(3, 4)
    use_p = rectified and bool(np.any(P))
    matrix = P[:, :3] if use_p else K
    try:
        return PinholeCamera.from_matrix(matrix, int(msg.width), int(msg.height))
    except InputError as error:
        raise InputError(f"{what}: {'P' if use_p else 'K'} cannot be used: {error}") from error
