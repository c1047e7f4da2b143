"""The GPS/IMU records of a KITTI raw drive: text files of 30 numbers, ``oxts/data/NNNNNNNNNN.txt``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from space_clip_ros.data.kitti_calibration import read_calibration_file
from space_clip_ros.data.kitti_files import calibration_folder, numbered_files, read_stamps
from space_clip_ros.errors import DataError
from space_clip_ros.files import reading
from space_clip_ros.geometry.rigid import Matrix, euler

IMU_FILE = "calib_imu_to_velo.txt"

_EARTH_RADIUS = 6_378_137.0
_VALUES = 30


@dataclass(frozen=True)
class OxtsRecord:
    """One GPS/IMU record: those of KITTI's 30 numbers for which ROS messages have a field.

    Attributes:
        latitude, longitude: degrees.
        altitude: metres.
        roll, pitch, yaw: radians; yaw is 0 to the east and grows counter-clockwise.
        acceleration: x forward, y left, z up in m/s^2, gravity included.
        angular_velocity: about the same axes, rad/s.
        position_accuracy: metres.
        position_mode: the receiver's mode: 0-2 no fix, 3 single, 4-6 differential, 7 satellite-based; below 0 unknown.
    """

    latitude: float
    longitude: float
    altitude: float
    roll: float
    pitch: float
    yaw: float
    acceleration: tuple[float, float, float]
    angular_velocity: tuple[float, float, float]
    position_accuracy: float
    position_mode: int

    def position(self, scale: float) -> Matrix:
        """Return (3,) float64 east, north, up in metres, by the Mercator projection of KITTI's development kit.

        Args:
            scale: cosine of the drive's first latitude.
        """
        east = scale * _EARTH_RADIUS * math.radians(self.longitude)
        north = scale * _EARTH_RADIUS * math.log(math.tan(math.radians(90.0 + self.latitude) / 2.0))
        return np.array([east, north, self.altitude])


class Oxts:
    """A drive's GPS/IMU records; empty if the drive has none.

    Args:
        drive: the drive's folder.

    Attributes:
        stamps_ns: (records,) int64, the records' own stamps, nanoseconds since 1970.
        imu_in_scanner: (4, 4) float64 pose of the IMU in the scanner's frame, metres; only if there are records.

    Raises:
        DataError: stamps, records or ``calib_imu_to_velo.txt`` are missing or broken.
    """

    def __init__(self, drive: Path) -> None:
        """List the records, and read their stamps and the IMU's calibration."""
        folder = drive / "oxts"
        files = numbered_files(folder / "data", ".txt")
        self._files = list(files.values())
        self.stamps_ns = read_stamps(folder / "timestamps.txt", list(files)) if files else np.empty(0, np.int64)
        if not files:
            return
        self.imu_in_scanner = read_imu_calibration(calibration_folder(drive))
        first = self.record(0)
        self._scale = math.cos(math.radians(first.latitude))
        self._origin = first.position(self._scale)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._files)

    def record(self, index: int) -> OxtsRecord:
        """Read one record.

        Raises:
            DataError: its file is missing or does not hold 30 finite numbers.
        """
        return read_record(self._files[index])

    def pose(self, record: OxtsRecord) -> Matrix:
        """Return the IMU's pose, (4, 4), in a map of east, north, up whose origin is the IMU's first position."""
        pose = np.eye(4)
        pose[:3, :3] = euler(record.roll, record.pitch, record.yaw)
        pose[:3, 3] = record.position(self._scale) - self._origin
        return pose


def read_record(path: Path) -> OxtsRecord:
    """Read one record's file.

    Raises:
        DataError: it is missing or does not hold 30 finite numbers.
    """
    try:
        with reading(path):
            numbers = np.array([float(word) for word in path.read_text(encoding="utf-8").split()])
    except ValueError as error:
        raise DataError(path, f"is not a GPS/IMU record: {error}") from error
    if numbers.size != _VALUES or not np.isfinite(numbers).all() or abs(numbers[0]) >= 90:
        raise DataError(path, f"must be {_VALUES} finite numbers that start with a latitude, got {numbers.size}")
    values = numbers.tolist()
    latitude, longitude, altitude, roll, pitch, yaw = values[:6]
    return OxtsRecord(
        latitude,
        longitude,
        altitude,
        roll,
        pitch,
        yaw,
        acceleration=(values[11], values[12], values[13]),
        angular_velocity=(values[17], values[18], values[19]),
        position_accuracy=values[23],
        position_mode=int(values[27]),
    )


def read_imu_calibration(folder: Path) -> Matrix:
    """Return the IMU's pose in the scanner's frame, (4, 4) float64 in metres, from a day's folder.

    Raises:
        DataError: the file or one of its keys is missing or broken.
    """
    path = folder / IMU_FILE
    values = read_calibration_file(path)
    rotation, translation = values.get("R", np.empty(0)), values.get("T", np.empty(0))
    if rotation.size != 9 or translation.size != 3 or not np.isfinite([*rotation, *translation]).all():
        raise DataError(path, "needs R (9 finite numbers) and T (3)", "unpack KITTI's calibration of that day there")
    pose = np.eye(4)
    pose[:3, :3] = rotation.reshape(3, 3)
    pose[:3, 3] = translation
    return pose
