"""Reads camera calibration files of ROS's camera_calibration and camera_info_manager, and of OpenCV's samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.calibration import CameraCalibration
from space_clip_ros.geometry.lens import is_fisheye, standard_name
from space_clip_ros.settings import parse_yaml, read_text

_IDENTITY = (1, 0, 0, 0, 1, 0, 0, 0, 1)
_NO_PROJECTION = (0,) * 12
_NO_CALIBRATION = "is not a camera calibration"
_FISHEYE = "equidistant"
_PINHOLE = "plumb_bob"
_YES = ("1", "true", "yes")


def read_camera_file(path: Path) -> CameraCalibration:
    """Read a camera: its size and matrix and, if the file has them, distortion, rotation and projection.

    Raises:
        DataError: the file cannot be read, is not a camera calibration, or describes an impossible camera.
    """
    # OpenCV writes a directive and a tag that YAML does not know, and names in capitals in some versions.
    text = re.sub(r"^%YAML:.*$", "", read_text(path, "give a camera calibration file", DataError), flags=re.MULTILINE)
    content = parse_yaml(path, text.replace("!!opencv-matrix", ""), DataError)
    if not isinstance(content, dict):
        raise DataError(path, _NO_CALIBRATION, "it must hold image_width, image_height, camera_matrix")
    content = {str(name).lower(): value for name, value in content.items()}
    try:
        calibration = CameraCalibration(
            width=int(content["image_width"]),
            height=int(content["image_height"]),
            K=_numbers(content, "camera_matrix"),
            D=_numbers(content, "distortion_coefficients", ()),
            R=_numbers(content, "rectification_matrix", _IDENTITY),
            P=_numbers(content, "projection_matrix", _NO_PROJECTION),
            distortion_model=_model(content),
        )
        calibration.rectifier(calibration.width, calibration.height)
    except KeyError as error:
        raise DataError(path, _NO_CALIBRATION, f"it lacks {error.args[0]}") from error
    except (InputError, TypeError, ValueError) as error:
        raise DataError(path, f"holds no usable camera: {error}") from error
    return calibration


def _model(content: Mapping[str, Any]) -> str:
    """Return the distortion model, which files name in several ways; the lens refuses unknown names.

    Without a name it is plumb_bob, as for camera_info_manager.

    Raises:
        InputError: two entries contradict each other.
    """
    named, camera = (str(content.get(name) or "").strip() for name in ("distortion_model", "camera_model"))
    flagged = any(str(content.get(flag)).lower() in _YES for flag in ("fisheye_model", "fisheye", "is_fisheye"))
    if camera.lower() in ("", "pinhole", "perspective"):
        camera = _FISHEYE if flagged else ""
    if named and camera and is_fisheye(camera) != is_fisheye(named):
        raise InputError(
            f"distortion_model {named} contradicts a camera that is {camera}", remedy="leave out the wrong one"
        )
    return named or standard_name(camera) or _PINHOLE


def _numbers(content: Mapping[str, Any], name: str, default: tuple[int, ...] | None = None) -> tuple[float, ...]:
    """Return the numbers of one ``{rows, cols, data}`` matrix."""
    if name not in content and default is not None:
        return tuple(map(float, default))
    matrix = content[name]
    if not isinstance(matrix, dict) or "data" not in matrix:
        raise KeyError(f"{name}.data")
    return tuple(np.asarray(matrix["data"], np.float64).ravel().tolist())
