"""JPEG and PNG messages as RGB arrays. Sizes are read from the header before a decoder allocates memory for them."""

from __future__ import annotations

import struct
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.messages.images import MAX_PIXELS

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
# Start-of-frame markers: C0-CF without C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}


def compressed_to_rgb(msg: Any, what: str = "compressed image") -> NDArray[np.uint8]:
    """Decode a ``sensor_msgs/CompressedImage``.

    Args:
        msg: the message, or any object with its fields; ``format`` is not trusted, the data's own header is.
        what: what to call it in errors, usually the topic.

    Returns:
        (H, W, 3) uint8 RGB as stored. An EXIF rotation is not applied, because camera_info describes the stored pixels.

    Raises:
        InputError: neither JPEG nor PNG, empty, truncated, undecodable, or above :data:`MAX_PIXELS`.
    """
    data = bytes(msg.data)
    if data.startswith(_PNG):
        width, height, complete = *_png_size(data, what), data.rfind(b"IEND") > 0
    elif data.startswith(_JPEG):
        width, height, scan = _jpeg_size(data, what)
        # Cameras pad their buffers, so the end may lie well before the last byte; inside a scan it cannot occur.
        # Without an end marker, missing last rows would go unnoticed, because the decoder fills them in.
        complete = data.find(_JPEG_END, scan) > 0
    else:
        raise InputError(what, f"{len(data)} bytes of format {msg.format[:40]!r} are neither JPEG nor PNG")
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError(what, f"claims {width} x {height} pixels; 1 to {MAX_PIXELS} are accepted")
    if not complete:
        raise InputError(what, f"{len(data)} bytes end before the picture does; the message is truncated")
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise InputError(what, f"could not be decoded: {' '.join(str(error).split())}") from error
    if bgr is None:
        raise InputError(what, f"{len(data)} bytes could not be decoded; the picture is damaged")
    return cast("NDArray[np.uint8]", cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr))


def _png_size(data: bytes, what: str) -> tuple[int, int]:
    if len(data) < 24:
        raise InputError(what, f"{len(data)} bytes end within the PNG header; the message is truncated")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg_size(data: bytes, what: str) -> tuple[int, int, int]:
    """Walk the JPEG's segments to its frame header (ITU T.81, annex B); return width, height and where that ends."""
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return width, height, position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xFF or marker in _JPEG_BARE:
            position += 1 if marker == 0xFF else 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise InputError(what, f"{len(data)} bytes hold no JPEG frame header; the message is truncated or damaged")
