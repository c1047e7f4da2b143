"""ROS messages without ROS: arrays and calibration as the types that ``rosbags`` writes."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.kitti_calibration import Matrix
from space_clip_ros.errors import InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.tools.bags.oxts import OxtsRecord
from space_clip_ros.tools.bags.transforms import euler, quaternion
from space_clip_ros.tools.bags.writer import TYPES

_ENCODINGS = {("uint8", 2): "mono8", ("uint8", 3): "rgb8", ("float32", 2): "32FC1", ("uint16", 2): "16UC1"}
_JPEG_QUALITY = 95
_PNG_LEVEL = 1
_FLOAT32 = 7
_DEPTH_FIELDS = ("x", "y", "z", "rgb")
_NO_FIX, _FIX, _SBAS_FIX, _GBAS_FIX = -1, 0, 1, 2
_GPS = 1
_APPROXIMATED = 1


def header(stamp_ns: int, frame_id: str) -> Any:
    """Return a ``std_msgs/Header``; ``stamp_ns`` in nanoseconds since 1970."""
    seconds, nanoseconds = divmod(int(stamp_ns), 1_000_000_000)
    return _make("std_msgs/msg/Header", _make("builtin_interfaces/msg/Time", seconds, nanoseconds), frame_id)


def image(pixels: NDArray[Any], head: Any) -> Any:
    """Return a ``sensor_msgs/Image``.

    Args:
        pixels: (H, W, 3) uint8 RGB, (H, W) uint8 grey, or (H, W) depth: float32 metres, NaN where unknown, or uint16
            millimetres. Where it is contiguous, the message shares its memory.
        head: its header.

    Raises:
        InputError: another shape or dtype.
    """
    encoding = _ENCODINGS.get((pixels.dtype.name, pixels.ndim))
    if encoding is None or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise InputError(f"need uint8 RGB or grey, or float32 or uint16 depth, got {pixels.shape} {pixels.dtype}")
    data = np.ascontiguousarray(pixels).view(np.uint8).reshape(-1)
    height, width = pixels.shape[:2]
    return _make("sensor_msgs/msg/Image", head, height, width, encoding, _big_endian(), data.size // height, data)


def compressed_image(pixels: NDArray[np.uint8], kind: str, head: Any) -> Any:
    """Return a ``sensor_msgs/CompressedImage`` as ``compressed_image_transport`` makes it.

    Args:
        pixels: (H, W, 3) uint8 RGB or (H, W) uint8 grey.
        kind: ``jpeg`` (quality 95) or ``png``.
        head: its header.
    """
    grey = pixels.ndim == 2
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if kind == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL]
    _, data = cv2.imencode(f".{kind}", pixels if grey else pixels[..., ::-1], options)
    name = f"mono8; {kind} compressed " if grey else f"rgb8; {kind} compressed bgr8"
    return _make("sensor_msgs/msg/CompressedImage", head, name, data.reshape(-1))


def camera_info(camera: PinholeCamera, head: Any, offset: float = 0.0) -> Any:
    """Return the ``sensor_msgs/CameraInfo`` of a rectified camera: no distortion, K and P the same camera.

    Args:
        camera: its intrinsics.
        head: its header.
        offset: P's Tx, -fx * baseline for the right camera of a stereo pair, pixels * metres.
    """
    K = camera.K
    P = np.hstack([K, [[offset], [0.0], [0.0]]])
    region = _make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
    return _make(
        "sensor_msgs/msg/CameraInfo",
        head,
        camera.height,
        camera.width,
        "plumb_bob",
        np.zeros(5),
        K.reshape(-1),
        np.eye(3).reshape(-1),
        P.reshape(-1),
        0,
        0,
        region,
    )


def scan_cloud(scan: NDArray[np.float32], head: Any) -> Any:
    """Return the ``sensor_msgs/PointCloud2`` of a scan, (N, 4) float32 x y z in metres and intensity."""
    return _cloud(scan[None], ("x", "y", "z", "intensity"), bool(np.isfinite(scan[:, :3]).all()), head)


def depth_cloud(points: NDArray[np.float32], head: Any) -> Any:
    """Return the organised cloud of a depth map.

    Args:
        points: (h, w, 3) float32 x y z in metres, NaN where invalid, or (h, w, 4) with 0x00RRGGBB as the fourth's bits.
            Where it is contiguous, the message shares its memory.
        head: its header.
    """
    return _cloud(points, _DEPTH_FIELDS[: points.shape[2]], False, head)


def dense_depth_cloud(points: NDArray[np.float32], head: Any) -> Any:
    """Return the cloud of the valid ones of such points, in one row."""
    valid = points[np.isfinite(points[..., 2])]
    return _cloud(valid[None], _DEPTH_FIELDS[: points.shape[2]], True, head)


def transforms(*poses: tuple[Any, str, Matrix]) -> Any:
    """Return a ``tf2_msgs/TFMessage``; each pose is a header (parent frame), the child frame, and (4, 4) metres."""
    return _make("tf2_msgs/msg/TFMessage", [_transform(*pose) for pose in poses])


def imu(record: OxtsRecord, head: Any) -> Any:
    """Return the ``sensor_msgs/Imu`` of a record; covariances are all zero, which is ROS's word for unknown."""
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


def _cloud(points: NDArray[np.float32], names: tuple[str, ...], dense: bool, head: Any) -> Any:
    """Return the cloud of (h, w, len(names)) float32 values."""
    fields = [_make("sensor_msgs/msg/PointField", name, 4 * index, _FLOAT32, 1) for index, name in enumerate(names)]
    height, width = points.shape[:2]
    step = 4 * len(names)
    data = np.ascontiguousarray(points, np.float32).reshape(-1).view(np.uint8)
    sizes = (step, step * width)
    return _make("sensor_msgs/msg/PointCloud2", head, height, width, fields, bool(_big_endian()), *sizes, data, dense)


def _transform(head: Any, child: str, pose: Matrix) -> Any:
    translation = _make("geometry_msgs/msg/Vector3", *pose[:3, 3].tolist())
    transform = _make("geometry_msgs/msg/Transform", translation, _quaternion(pose[:3, :3]))
    return _make("geometry_msgs/msg/TransformStamped", head, child, transform)


def _quaternion(rotation: Matrix) -> Any:
    return _make("geometry_msgs/msg/Quaternion", *quaternion(rotation))


def _big_endian() -> int:
    return int(sys.byteorder == "big")


def _make(kind: str, *values: Any) -> Any:
    return TYPES.types[kind](*values)
