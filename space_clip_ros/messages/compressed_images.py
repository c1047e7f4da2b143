"""JPEG and PNG messages as RGB arrays. Sizes are read from the header before a decoder allocates memory for them."""

from __future__ import annotations

import struct
import sys
import types
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.messages.color_images import image_to_rgb, refuse_depth
from space_clip_ros.messages.images import MAX_PIXELS

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
# Start-of-frame markers: C0-CF without C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
_BAYER = tuple(f"bayer_{order}" for order in ("rggb", "bggr", "gbrg", "grbg"))


def compressed_to_rgb(msg: Any, what: str = "compressed image") -> NDArray[np.uint8]:
    """Decode a ``sensor_msgs/CompressedImage``.

    Args:
        msg: the message, or any object with its fields. The data's own header says what they are. Of
            ``format``, only an encoding before its semicolon counts that means depth or a Bayer pattern.
        what: what to call it in errors, usually the topic.

    Returns:
        (H, W, 3) uint8 RGB as stored. An EXIF rotation is not applied, because camera_info describes the stored pixels.

    Raises:
        InputError: neither JPEG nor PNG, empty, truncated, undecodable, above :data:`MAX_PIXELS`, or depth.
    """
    data = bytes(msg.data)
    encoding = str(msg.format).partition(";")[0].strip()
    refuse_depth(encoding, what)
    if not data:
        raise InputError(what, f"empty, 0 bytes of format {msg.format[:40]!r}")
    if data.startswith(_PNG):
        width, height, complete = *_png_size(data, what), data.rfind(b"IEND") > 0
    elif data.startswith(_JPEG):
        width, height, scan = _jpeg_size(data, what)
        # Cameras pad their buffers, so the end may lie well before the last byte; inside a scan it cannot occur.
        # Without an end marker, missing last rows would go unnoticed, because the decoder fills them in.
        complete = data.find(_JPEG_END, scan) > 0
    else:
        reason = f"{len(data)} bytes of format {msg.format[:40]!r} are neither JPEG nor PNG"
        raise InputError(what, reason, "publish one of them, or decode it first (image_transport's republish)")
    if not 0 < width * height <= MAX_PIXELS:
        raise InputError(what, f"claims {width} x {height} pixels; 1 to {MAX_PIXELS} are accepted")
    if not complete:
        raise InputError(what, f"{len(data)} bytes end before the picture does; the message is truncated")
    if encoding.startswith(_BAYER):
        mosaic = _decode(data, cv2.IMREAD_UNCHANGED, what)
        # Publishers that have made colours of the pattern keep its name, too.
        if mosaic.ndim == 2:
            return image_to_rgb(_raw(mosaic, encoding), what)
    bgr = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, what)
    return cast("NDArray[np.uint8]", cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr))


def _decode(data: bytes, flags: int, what: str) -> NDArray[Any]:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InputError(what, f"could not be decoded: {' '.join(str(error).split())}") from error
    if pixels is None:
        raise InputError(what, f"{len(data)} bytes could not be decoded; the picture is damaged")
    return np.asarray(pixels)


def _raw(mosaic: NDArray[Any], encoding: str) -> Any:
    """Return a Bayer pattern with the fields of an Image; its own bits count, not those of the encoding's name."""
    height, width = mosaic.shape
    return types.SimpleNamespace(
        encoding=f"{encoding.rstrip('0123456789')}{8 * mosaic.itemsize}",
        height=height,
        width=width,
        step=width * mosaic.itemsize,
        is_bigendian=int(sys.byteorder == "big"),
        data=mosaic.tobytes(),
    )


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
        if marker == 0xFF or marker in _JPEG_STANDALONE:
            position += 1 if marker == 0xFF else 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise InputError(what, f"{len(data)} bytes hold no JPEG frame header; the message is truncated or damaged")
