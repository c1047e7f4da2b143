"""NumPy arrays as image messages."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from space_clip_ros.errors import InputError
from space_clip_ros.messages.images import LAYOUTS

_STORED = {("float32", 1): "32FC1", ("uint16", 1): "16UC1", ("uint8", 1): "mono8", ("uint8", 3): "rgb8"}


def image_from_array(pixels: NDArray[Any], encoding: str, header: Any) -> Image:
    """Build an image message from an array, copying it once.

    Args:
        pixels: (H, W) or (H, W, C) array of the encoding's dtype, any strides.
        encoding: one of :data:`LAYOUTS`, such as ``rgb8``, ``mono8``, ``32FC1`` or ``16UC1``.
        header: ``std_msgs/Header`` to put into the message, shared and not copied.

    Raises:
        InputError: the array is empty or its shape or dtype is not the encoding's.
    """
    layout = LAYOUTS.get(encoding)
    if layout is None or layout.rows != 1.0:
        raise InputError(f"encoding {encoding!r} cannot be written; use one of {', '.join(sorted(_STORED.values()))}")
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.ndim not in (2, 3) or pixels.dtype != layout.dtype or channels != layout.channels or not pixels.size:
        raise InputError(
            f"{encoding} needs a non-empty (H, W{f', {layout.channels}' if layout.channels > 1 else ''}) "
            f"{layout.dtype} array, got {pixels.shape} {pixels.dtype}"
        )
    message = Image()
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.is_bigendian = int(sys.byteorder == "big")
    message.step = pixels.shape[1] * channels * pixels.dtype.itemsize
    # Straight into the message's own memory: assigning bytes or an ndarray makes rclpy look at every value (160 ms
    # for an image), and even an array.array is copied once more by some ROS versions.
    message.data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    return message
