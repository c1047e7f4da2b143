"""Camera calibration files, as ROS's camera_calibration and camera_info_manager write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.rectification import Rectifier

_IDENTITY = (1, 0, 0, 0, 1, 0, 0, 0, 1)
_NO_PROJECTION = (0,) * 12


def read_camera_file(path: Path) -> Rectifier:
    """Read ``image_width``, ``image_height``, ``camera_matrix`` and, where there, distortion, rotation and projection.

    Raises:
        DataError: the file cannot be read, is not such a file, or holds a camera that cannot be.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a camera calibration file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: is not a camera calibration; it must hold image_width, image_height, camera_matrix")
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
        raise DataError(f"{path}: is not a camera calibration; it lacks {error.args[0]}") from error
    except (InputError, TypeError, ValueError) as error:
        raise DataError(f"{path}: holds no usable camera: {error}") from error


def _data(content: Mapping[str, Any], name: str, default: tuple[int, ...] | None = None) -> Any:
    """Return the numbers of one ``{rows, cols, data}`` matrix."""
    if name not in content and default is not None:
        return default
    matrix = content[name]
    if not isinstance(matrix, dict) or "data" not in matrix:
        raise KeyError(f"{name}.data")
    return matrix["data"]
