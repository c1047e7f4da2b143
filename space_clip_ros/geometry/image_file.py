"""Reads and writes image files; a damaged file is an error, never half an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import DataError
from space_clip_ros.files import LFS_POINTER, reading, refuse_lfs_pointer, write_whole

# How files of each format begin and end. Some decoder versions fill the missing part of a truncated file with black or
# grey instead of failing.
_ENDS = {b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9"}

ALMOST_BLACK = 24
"""If no pixel is brighter than this (of 255), the picture is too dark for depth."""

_UPRIGHT = cv2.IMREAD_COLOR
_AS_STORED = _UPRIGHT | cv2.IMREAD_IGNORE_ORIENTATION
_WRITTEN = (".png", ".jpg", ".jpeg")


def read_rgb(path: str | Path, *, upright: bool = False) -> npt.NDArray[np.uint8]:
    """Read an image as (H, W, 3) uint8 RGB; grey becomes three equal channels, 16 bits become 8.

    Args:
        path: the file.
        upright: turn it as its EXIF orientation says, as viewers do. Otherwise pixels are as stored, which a camera's
            calibration is for.

    Raises:
        DataError: the file is missing, truncated or not an image.
    """
    return _rgb(read_image(path, _UPRIGHT if upright else _AS_STORED))


def decode_rgb(data: bytes, what: str | Path) -> npt.NDArray[np.uint8]:
    """Return an image file's bytes as :func:`read_rgb` returns the file.

    Args:
        data: all bytes of the file.
        what: what to call it in errors.

    Raises:
        DataError: they are truncated or not an image.
    """
    return _rgb(decode_image(data, _AS_STORED, what))


def read_image(path: str | Path, flags: int) -> npt.NDArray[Any]:
    """Read an image with OpenCV's ``flags``; colour channels are in OpenCV's order, BGR.

    Raises:
        DataError: the file is missing, truncated or not an image.
    """
    with reading(path):
        data = Path(path).read_bytes()
    if data.startswith(LFS_POINTER):
        refuse_lfs_pointer(Path(path))
    return decode_image(data, flags, path)


def decode_image(data: bytes, flags: int, what: str | Path) -> npt.NDArray[Any]:
    """Return an image file's bytes as :func:`read_image` returns the file.

    Raises:
        DataError: they are truncated or not an image.
    """
    for start, end in _ENDS.items():
        if data.startswith(start) and data.rfind(end) < 0:
            raise DataError(what, f"the image ends early, after {len(data)} bytes", "copy or download it again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(what, f"is not an image that OpenCV can read ({len(data)} bytes)")
    return np.asarray(image)


def check_picture(path: Path) -> None:
    """Check before long work that a picture's name says its format.

    Raises:
        DataError: it ends in another suffix than ``.png``, ``.jpg`` or ``.jpeg``.
    """
    if path.suffix.lower() not in _WRITTEN:
        raise DataError(path, f"pictures end in {', '.join(_WRITTEN)}", "give another name")


def write_rgb(path: Path, rgb: npt.NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB as PNG or JPEG, chosen by the suffix.

    Raises:
        DataError: the file cannot be written, or has another suffix.
    """
    check_picture(path)
    encoded, data = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise DataError(path, f"an image of {rgb.shape[1]} x {rgb.shape[0]} pixels could not be encoded")
    write_whole(path, data.tobytes())


def _rgb(bgr: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), dtype=np.uint8)
