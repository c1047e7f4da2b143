"""Image messages as RGB arrays.

Common encodings are read with NumPy and OpenCV. Others are checked first and then converted by ``cv_bridge`` where ROS
provides it, and by ``rosbags-image`` elsewhere.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.messages.images import LAYOUTS, known_encoding, stored_pixels

_CONVERSIONS = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    "8UC1": cv2.COLOR_GRAY2RGB,
    # A publisher that uses OpenCV's type names also uses OpenCV's channel order.
    "8UC3": cv2.COLOR_BGR2RGB,
    "8UC4": cv2.COLOR_BGRA2RGB,
    "nv12": cv2.COLOR_YUV2RGB_NV12,
    "nv21": cv2.COLOR_YUV2RGB_NV21,
}
_DEPTH_ONLY = ("32FC1", "16UC1")
_COLORS = tuple(name for name in LAYOUTS if name not in _DEPTH_ONLY)
UNORDERED = ("8UC3", "8UC4")
"""Encodings that do not name their channel order; they are read as BGR, OpenCV's order."""

Converter = Callable[[Any], NDArray[Any]]


def image_to_rgb(msg: Any, what: str = "image") -> NDArray[np.uint8]:
    """Return an image message as RGB.

    Args:
        msg: a ``sensor_msgs/Image``, or any object with its fields: rgb8, bgr8, rgba8, bgra8, mono8, mono16, their
            16-bit variants, bayer_* of 8 and 16 bits, yuv422, yuv422_yuy2, nv12, nv21.
        what: what to call it in errors, usually the topic.

    Returns:
        (H, W, 3) uint8, contiguous. For rgb8 without padding it is a view on the message: treat it as read-only.

    Raises:
        InputError: the message does not hold together (see :func:`stored_pixels`), holds depth instead of colour, or
            its encoding needs a library that is not installed.
    """
    encoding = known_encoding(msg, what, _COLORS)
    refuse_depth(encoding, what)
    pixels = stored_pixels(msg, what)
    if encoding == "rgb8":
        return pixels
    code = _CONVERSIONS.get(encoding)
    if code is not None:
        return cast("NDArray[np.uint8]", cv2.cvtColor(pixels, code))
    return _convert_with_library(pixels, encoding, msg, what)


def refuse_depth(encoding: str, what: str) -> None:
    """Raise an InputError for an encoding that only depth has."""
    if encoding in _DEPTH_ONLY:
        raise InputError(what, f"encoding {encoding} holds depth, not colour", "give the camera's image topic")


def _convert_with_library(pixels: NDArray[Any], encoding: str, msg: Any, what: str) -> NDArray[np.uint8]:
    converter = _cv_bridge() or _rosbags_image()
    if converter is None:
        raise InputError(
            what, f"encoding {encoding} needs cv_bridge (a ROS package) or rosbags-image (pip)", "install one"
        )
    plain = types.SimpleNamespace(
        encoding=encoding,
        height=int(msg.height),
        width=int(msg.width),
        step=pixels.strides[0],
        is_bigendian=int(sys.byteorder == "big"),
        data=pixels,
    )
    try:
        rgb = converter(plain)
    except Exception as error:
        # Neither library documents its errors, and OpenCV's pass through; whatever comes, the message is at fault.
        raise InputError(what, f"{encoding} could not be converted: {' '.join(str(error).split())}") from error
    return np.ascontiguousarray(rgb, dtype=np.uint8)


@functools.cache
def _cv_bridge() -> Converter | None:
    try:
        from cv_bridge import CvBridge
    except (ImportError, AttributeError):
        # Builds of cv_bridge for NumPy 1 fail with either when NumPy 2 is installed.
        return None
    bridge = CvBridge()
    return lambda message: cast("NDArray[Any]", bridge.imgmsg_to_cv2(message, "rgb8"))


@functools.cache
def _rosbags_image() -> Converter | None:
    try:
        from rosbags.image import message_to_cvimage
    except ImportError:
        return None
    return lambda message: cast("NDArray[Any]", message_to_cvimage(message, "rgb8"))
