"""Builds messages for bags: headers and images, and the transforms, IMU and GPS of a KITTI drive."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.geometry.rigid import Matrix, euler, quaternion
from space_clip_ros.messages import header_at, image_from_array
from space_clip_ros.messages.bag_types import BAGS, TYPES
from space_clip_ros.tools.bags.oxts import OxtsRecord

_ENCODINGS = {("uint8", 2): "mono8", ("uint8", 3): "rgb8", ("float32", 2): "32FC1", ("uint16", 2): "16UC1"}
_NO_FIX, _FIX, _SBAS_FIX, _GBAS_FIX = -1, 0, 1, 2
_GPS = 1
_APPROXIMATED = 1


def header(stamp_ns: int, frame_id: str) -> Any:
    """Return a ``std_msgs/Header``; ``stamp_ns`` in nanoseconds since 1970."""
    return header_at(stamp_ns, frame_id, BAGS)


def image(pixels: NDArray[Any], head: Any) -> Any:
    """Return a ``sensor_msgs/Image``; where ``pixels`` are contiguous, the message shares their memory.

    Args:
        pixels: (H, W, 3) uint8 RGB, (H, W) uint8 grey, or (H, W) depth: float32 metres, NaN where unknown, or uint16
            millimetres.
        head: its header.

    Raises:
        InputError: another shape or dtype.
    """
    encoding = _ENCODINGS.get((pixels.dtype.name, pixels.ndim))
    if encoding is None:
        raise InputError(f"need uint8 RGB or grey, or float32 or uint16 depth, got {pixels.shape} {pixels.dtype}")
    return image_from_array(pixels, encoding, head, BAGS)


def transforms(*poses: tuple[Any, str, Matrix]) -> Any:
    """Return a ``tf2_msgs/TFMessage``; each pose is a header (parent frame), the child frame, and (4, 4) metres."""
    return _make("tf2_msgs/msg/TFMessage", [_transform(*pose) for pose in poses])


def imu(record: OxtsRecord, head: Any) -> Any:
    """Return the ``sensor_msgs/Imu`` of a record; covariances are all zero, which means unknown in ROS."""
    unknown = np.zeros(9)
    return _make(
        "sensor_msgs/msg/Imu",
        head,
        _quaternion(euler(record.roll, record.pitch, record.yaw)),
        unknown,
        _make("geometry_msgs/msg/Vector3", *record.angular_velocity),
        unknown,
        _make("geometry_msgs/msg/Vector3", *record.acceleration),
        unknown,
    )


def gps_fix(record: OxtsRecord, head: Any) -> Any:
    """Return the ``sensor_msgs/NavSatFix`` of a record, its covariance the square of the record's accuracy."""
    status = _make("sensor_msgs/msg/NavSatStatus", _fix_status(record), _GPS)
    covariance = np.eye(3).reshape(-1) * record.position_accuracy**2
    place = (record.latitude, record.longitude, record.altitude)
    return _make("sensor_msgs/msg/NavSatFix", head, status, *place, covariance, _APPROXIMATED)


def _fix_status(record: OxtsRecord) -> int:
    if 0 <= record.position_mode <= 2:
        return _NO_FIX
    if 4 <= record.position_mode <= 6:
        return _GBAS_FIX
    return _SBAS_FIX if record.position_mode == 7 else _FIX


def _transform(head: Any, child: str, pose: Matrix) -> Any:
    translation = _make("geometry_msgs/msg/Vector3", *pose[:3, 3].tolist())
    transform = _make("geometry_msgs/msg/Transform", translation, _quaternion(pose[:3, :3]))
    return _make("geometry_msgs/msg/TransformStamped", head, child, transform)


def _quaternion(rotation: Matrix) -> Any:
    return _make("geometry_msgs/msg/Quaternion", *quaternion(rotation))


def _make(kind: str, *values: Any) -> Any:
    return TYPES.types[kind](*values)
