"""Picture files, read so that a damaged one is an error and never half a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import DataError

# How the formats begin and end; decoders of some versions fill what a truncated file lacks with black or grey.
_ENDS = {b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9"}


def read_rgb(path: str | Path) -> npt.NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB; grey is spread to three channels, 16 bits are cut to 8.

    Pixels are as stored: an EXIF orientation is ignored, because a camera's calibration is for the stored pixels.

    Raises:
        DataError: the file is missing, truncated or not a picture.
    """
    bgr = read_image(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), dtype=np.uint8)


def read_image(path: str | Path, flags: int) -> npt.NDArray[Any]:
    """Read a picture with OpenCV's ``flags`` (channels in OpenCV's order, BGR).

    Raises:
        DataError: the file is missing, truncated or not a picture.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    for start, end in _ENDS.items():
        if data.startswith(start) and data.rfind(end) < 0:
            raise DataError(f"{path}: the picture ends early, after {len(data)} bytes; copy or download it again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{path}: is not a picture OpenCV can read ({len(data)} bytes)")
    return np.asarray(image)
