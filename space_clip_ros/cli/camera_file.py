"""Reads camera calibration files, as ROS's camera_calibration and camera_info_manager write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.rectification import Rectifier
from space_clip_ros.settings import read_yaml

_IDENTITY = (1, 0, 0, 0, 1, 0, 0, 0, 1)
_NO_PROJECTION = (0,) * 12
_NO_CALIBRATION = "is not a camera calibration"


def read_camera_file(path: Path) -> Rectifier:
    """Read a camera: its size and matrix and, if the file has them, distortion, rotation and projection.

    Raises:
        DataError: the file cannot be read, is not a camera calibration, or describes an impossible camera.
    """
    content = read_yaml(path, "give a camera calibration file", DataError)
    if not isinstance(content, dict):
        raise DataError(path, _NO_CALIBRATION, "it must hold image_width, image_height, camera_matrix")
    try:
        return Rectifier(
            _data(content, "camera_matrix"),
            _data(content, "distortion_coefficients", ()),
            _data(content, "rectification_matrix", _IDENTITY),
            _data(content, "projection_matrix", _NO_PROJECTION),
            content.get("distortion_model", "plumb_bob"),
            (int(content["image_width"]), int(content["image_height"])),
        )
    except KeyError as error:
        raise DataError(path, _NO_CALIBRATION, f"it lacks {error.args[0]}") from error
    except (InputError, TypeError, ValueError) as error:
        raise DataError(path, f"holds no usable camera: {error}") from error


def _data(content: Mapping[str, Any], name: str, default: tuple[int, ...] | None = None) -> Any:
    """Return the numbers of one ``{rows, cols, data}`` matrix."""
    if name not in content and default is not None:
        return default
    matrix = content[name]
    if not isinstance(matrix, dict) or "data" not in matrix:
        raise KeyError(f"{name}.data")
    return matrix["data"]
