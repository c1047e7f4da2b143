"""``sensor_msgs/CameraInfo`` to calibrations, and cameras to ``sensor_msgs/CameraInfo``."""

from __future__ import annotations

from typing import Any

import numpy as np

from space_clip_ros.geometry.calibration import CameraCalibration
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.messages.types import ROS, MessageTypes


def camera_info_from_camera(camera: PinholeCamera, header: Any, offset: float = 0.0, types: MessageTypes = ROS) -> Any:
    """Build the camera_info of an undistorted image.

    Args:
        camera: intrinsics for exactly that image.
        header: the image's ``std_msgs/Header``, shared, not copied.
        offset: P's Tx, -fx * baseline for the right camera of a stereo pair, pixels * metres.
        types: where the message's class comes from.

    Returns:
        A message with K, P = [K | offset, 0, 0], R = identity and a plumb_bob model of zero distortion.
    """
    K = np.asarray(camera.K, np.float64)
    region = types.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return types.make(
        "sensor_msgs/msg/CameraInfo",
        header=header,
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=K.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([K, [[offset], [0.0], [0.0]]]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def calibration_from_info(msg: Any) -> CameraCalibration:
    """Return a camera_info's content as plain numbers; nothing is checked yet.

    Args:
        msg: a ``sensor_msgs/CameraInfo``, or any object with its fields.
    """
    return CameraCalibration(
        width=int(msg.width),
        height=int(msg.height),
        K=_numbers(msg.k),
        D=_numbers(msg.d),
        R=_numbers(msg.r),
        P=_numbers(msg.p),
        distortion_model=str(msg.distortion_model),
        binning=(int(msg.binning_x), int(msg.binning_y)),
        roi=(int(msg.roi.x_offset), int(msg.roi.y_offset), int(msg.roi.width), int(msg.roi.height)),
    )


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(np.asarray(values, np.float64).tolist())
