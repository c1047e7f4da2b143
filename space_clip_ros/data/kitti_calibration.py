"""Reads KITTI raw's calibration files (Geiger et al., IJRR 2013); each day has its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.files import reading
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.rigid import Matrix

CAMERAS_FILE = "calib_cam_to_cam.txt"
VELODYNE_FILE = "calib_velo_to_cam.txt"


@dataclass(frozen=True)
class KittiCalibration:
    """Calibration of one rectified camera and the laser scanner on one day.

    Attributes:
        camera: the rectified camera.
        projection: P_rect, (3, 4): from the rectified frame of camera 0 to this camera's pixels; its fourth column
            holds this camera's offset.
        velodyne_to_camera: (4, 4): from the scanner to the rectified frame of camera 0, metres.
    """

    camera: PinholeCamera
    projection: Matrix
    velodyne_to_camera: Matrix

    @property
    def velodyne_to_image(self) -> Matrix:
        """The (3, 4) float64 matrix from the scanner's homogeneous metres to (u z, v z, z)."""
        return self.projection @ self.velodyne_to_camera


def read_calibration(folder: Path, camera: int) -> KittiCalibration:
    """Read a day's calibration for one camera.

    Args:
        folder: the day's folder, with ``calib_cam_to_cam.txt`` and ``calib_velo_to_cam.txt``.
        camera: 0 and 1 are the grey left and right cameras, 2 and 3 the colour ones.

    Raises:
        DataError: a file or key is missing, or a key has the wrong number of values or describes no camera.
    """
    cameras, velodyne = folder / CAMERAS_FILE, folder / VELODYNE_FILE
    camera_values, velodyne_values = read_calibration_file(cameras), read_calibration_file(velodyne)
    projection = _take(camera_values, cameras, f"P_rect_{camera:02d}", (3, 4))
    width, height = _take(camera_values, cameras, f"S_rect_{camera:02d}", (2,))
    # All rectified cameras share the axes of rectified camera 0.
    rectification = np.eye(4)
    rectification[:3, :3] = _take(camera_values, cameras, "R_rect_00", (3, 3))
    velodyne_to_camera_0 = np.eye(4)
    velodyne_to_camera_0[:3, :3] = _take(velodyne_values, velodyne, "R", (3, 3))
    velodyne_to_camera_0[:3, 3] = _take(velodyne_values, velodyne, "T", (3,))
    try:
        rectified = PinholeCamera.from_matrix(projection, int(width), int(height))
    except InputError as error:
        raise DataError(cameras, f"P_rect_{camera:02d} is not a camera: {error}") from error
    return KittiCalibration(rectified, projection, rectification @ velodyne_to_camera_0)


def read_calibration_file(path: Path) -> dict[str, Matrix]:
    """Read ``KEY: number number ...`` lines, skipping those that hold anything else, such as dates.

    Returns:
        (N,) float64 numbers by key.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with reading(path, remedy="unpack KITTI's calibration archive of that day there"):
            lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(path, "is not a text file") from error
    values = {}
    for line in lines:
        key, _, numbers = line.partition(":")
        try:
            values[key.strip()] = np.array([float(number) for number in numbers.split()])
        except ValueError:
            continue
    return values


def _take(values: dict[str, Matrix], path: Path, key: str, shape: tuple[int, ...]) -> Matrix:
    if key not in values:
        raise DataError(path, f"has no numbers under {key!r}", "is it KITTI raw's own file?")
    count = int(np.prod(shape))
    if values[key].size != count or not np.isfinite(values[key]).all():
        raise DataError(path, f"{key!r} must be {count} finite numbers, got {values[key].tolist()}")
    return values[key].reshape(shape)
