"""A small synthetic drive, and one with all that KITTI's drives have: GPS/IMU, right and grey cameras."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

LATITUDE, LONGITUDE, ALTITUDE = 49.0, 8.4, 116.0
METRE_EAST = 1.0 / (np.cos(np.radians(LATITUDE)) * 6_378_137.0 * np.pi / 180.0)
BASELINE = 0.5


@pytest.fixture(scope="session")
def tiny_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of 156 x 48 pixels with scans; not to be changed."""
    from space_clip_ros.geometry.camera import PinholeCamera
    from space_clip_ros.synthetic.drive import write_drive

    camera = PinholeCamera(156, 48, fx=90.0, fy=90.0, cx=76.0, cy=21.0)
    return write_drive(tmp_path_factory.mktemp("drive"), frames=3, seed=3, camera=camera)


@pytest.fixture(scope="session")
def full_drive(tiny_drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small drive with synthetic GPS/IMU and more cameras: it moves east at 10 m/s; not to be changed."""
    day = tmp_path_factory.mktemp("full") / tiny_drive.parent.name
    shutil.copytree(tiny_drive.parent, day)
    drive = day / tiny_drive.name
    _add_cameras(day, drive)
    (drive / "oxts" / "data").mkdir(parents=True)
    for index in range(3):
        write_record(drive / "oxts" / "data" / f"{index:010d}.txt", longitude=LONGITUDE + index * METRE_EAST)
    stamps = [f"2026-01-01 12:00:00.{100 * index + 20:03d}000000\n" for index in range(3)]
    (drive / "oxts" / "timestamps.txt").write_text("".join(stamps), encoding="utf-8")
    (day / "calib_imu_to_velo.txt").write_text("R: 1 0 0 0 1 0 0 0 1\nT: -0.8 0.3 -0.8\n", encoding="utf-8")
    return drive


def write_record(path: Path, longitude: float = LONGITUDE, **changes: float) -> None:
    """Write one of KITTI's records of 30 numbers; ``changes`` gives values by position, as ``v3=0.1``."""
    values = [LATITUDE, longitude, ALTITUDE, 0.0, 0.0, 0.0, *range(6, 30)]
    for name, value in changes.items():
        values[int(name[1:])] = value
    path.write_text(" ".join(map(repr, map(float, values[:25]))) + " 4 9 6 6 6\n", encoding="utf-8")


def _add_cameras(day: Path, drive: Path) -> None:
    """Cameras 0, 1 and 3 see what camera 2 sees; 3 is half a metre to the right of 2."""
    calibration = day / "calib_cam_to_cam.txt"
    lines = calibration.read_text(encoding="utf-8").splitlines()
    copies = []
    for source, target in (("02", "03"), ("00", "01")):
        for line in lines:
            if f"_{source}:" not in line:
                continue
            key, _, numbers = line.replace(f"_{source}:", f"_{target}:").partition(":")
            values = [float(number) for number in numbers.split()]
            if key.startswith("P_rect"):
                values[3] -= values[0] * BASELINE
            copies.append(f"{key}: {' '.join(map(repr, values))}")
    calibration.write_text("\n".join([*lines, *copies]) + "\n", encoding="utf-8")
    for camera in (0, 1, 3):
        shutil.copytree(drive / "image_02", drive / f"image_{camera:02d}")
