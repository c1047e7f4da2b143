"""The synthetic car's calibration in KITTI raw's files, with round numbers close to those of KITTI's car."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from space_clip_ros.errors import DataError
from space_clip_ros.files import write_whole
from space_clip_ros.geometry.camera import PinholeCamera

BASELINE_M = 0.06
"""Distance of the colour camera to the left of the grey camera 0, metres."""

_RECTIFICATION = np.array([0.004, -0.007, -0.01])
_SCANNER_TURN = np.array([0.012, -0.008, 0.006])
_SCANNER_OFFSET = np.array([0.0, -0.08, -0.27])
_AXES = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def drawing_camera(camera: PinholeCamera) -> PinholeCamera:
    """Return the camera to render with: KITTI's files count pixels from 1, images from 0."""
    return PinholeCamera(camera.width, camera.height, camera.fx, camera.fy, camera.cx - 1, camera.cy - 1)


def scaled_camera(camera: PinholeCamera, factor: float) -> PinholeCamera:
    """Return the camera of pictures whose sides are ``factor`` times as long; pixels counted from 1 in both."""
    width, height = (max(round(side * factor), 1) for side in (camera.width, camera.height))
    smaller = drawing_camera(camera).resized(width, height)
    return replace(smaller, cx=smaller.cx + 1, cy=smaller.cy + 1)


def scanner_to_camera() -> NDArray[np.float64]:
    """Return the (4, 4) transform from the scanner (x forward, y left, z up) to the rectified colour camera, metres."""
    to_camera = np.eye(4)
    to_camera[:3, :3] = _rotation(_RECTIFICATION) @ _scanner_rotation()
    to_camera[:3, 3] = _rotation(_RECTIFICATION) @ _SCANNER_OFFSET + np.array([BASELINE_M, 0.0, 0.0])
    return to_camera


def write_calibration(folder: Path, camera: PinholeCamera) -> None:
    """Write ``calib_cam_to_cam.txt`` and ``calib_velo_to_cam.txt``, which all drives of a day share.

    Args:
        folder: the day's folder.
        camera: the rectified colour camera, pixels counted from 1 as KITTI does.

    Raises:
        DataError: the folder already has another calibration, or a file cannot be written.
    """
    size = (camera.width, camera.height)
    projection = np.hstack([camera.K, np.zeros((3, 1))])
    shifted = projection.copy()
    shifted[0, 3] = camera.fx * BASELINE_M
    lines = ["calib_time: 01-Jan-2026 00:00:00", "corner_dist: 1.000000e-01"]
    for name, offset, rectified in (("00", 0.0, projection), ("02", BASELINE_M, shifted)):
        lines += [
            _line(f"S_{name}", size),
            _line(f"K_{name}", camera.K),
            _line(f"D_{name}", np.zeros(5)),
            _line(f"R_{name}", np.eye(3)),
            _line(f"T_{name}", (offset, 0.0, 0.0)),
            _line(f"S_rect_{name}", size),
            _line(f"R_rect_{name}", _rotation(_RECTIFICATION)),
            _line(f"P_rect_{name}", rectified),
        ]
    _write(folder / "calib_cam_to_cam.txt", lines)
    _write(
        folder / "calib_velo_to_cam.txt",
        ["calib_time: 01-Jan-2026 00:00:00", _line("R", _scanner_rotation()), _line("T", _SCANNER_OFFSET)],
    )


def _scanner_rotation() -> NDArray[np.float64]:
    return np.asarray(_rotation(_SCANNER_TURN) @ _AXES)


def _rotation(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.Rodrigues(vector)[0])


def _line(key: str, values: ArrayLike) -> str:
    return f"{key}: " + " ".join(f"{value:.12e}" for value in np.ravel(values))


def _write(path: Path, lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    if not path.exists():
        write_whole(path, text.encode("ascii"))
    elif path.read_text(encoding="utf-8", errors="replace") != text:
        raise DataError(path, "is for another camera, and drives there rely on it", "write to another folder")
