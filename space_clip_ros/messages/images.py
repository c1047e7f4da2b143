"""Image messages to NumPy arrays and back. Every size in a message is checked against the bytes that came with it.

Reading copies only what it must: pixels in this machine's byte order without row padding are returned as a view on the
message's own memory.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.geometry import depth as depth_maps
from space_clip_ros.messages.types import ROS, MessageTypes

MAX_PIXELS = 1 << 26
"""Largest image accepted, pixels (8192 x 8192): conversions make images larger, so their size is limited here."""


@dataclass(frozen=True)
class Layout:
    """How an encoding stores its pixels.

    Attributes:
        dtype: NumPy name of one stored value, without byte order.
        channels: values stored per pixel.
        rows: stored rows per image row; 1.5 for YUV 4:2:0 in two planes.
        even: whether width and height must be even, because neighbouring pixels share colour.
    """

    dtype: str
    channels: int
    rows: float = 1.0
    even: bool = False


LAYOUTS: dict[str, Layout] = {
    "rgb8": Layout("uint8", 3),
    "bgr8": Layout("uint8", 3),
    "rgba8": Layout("uint8", 4),
    "bgra8": Layout("uint8", 4),
    "mono8": Layout("uint8", 1),
    "8UC1": Layout("uint8", 1),
    "mono16": Layout("uint16", 1),
    "16UC1": Layout("uint16", 1),
    "32FC1": Layout("float32", 1),
    "rgb16": Layout("uint16", 3),
    "bgr16": Layout("uint16", 3),
    "rgba16": Layout("uint16", 4),
    "bgra16": Layout("uint16", 4),
    "8UC3": Layout("uint8", 3),
    "8UC4": Layout("uint8", 4),
    **{f"bayer_{order}8": Layout("uint8", 1) for order in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{order}16": Layout("uint16", 1) for order in ("rggb", "bggr", "gbrg", "grbg")},
    **{name: Layout("uint8", 2, even=True) for name in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")},
    "nv12": Layout("uint8", 1, rows=1.5, even=True),
    "nv21": Layout("uint8", 1, rows=1.5, even=True),
}
_BY_LOWER_CASE = {name.lower(): name for name in LAYOUTS}
_ELSEWHERE = {
    **dict.fromkeys(("mono", "gray", "grey", "gray8", "grey8", "y8", "y800"), "mono8"),
    **dict.fromkeys(("gray16", "grey16", "y16"), "mono16"),
    **{name: f"{name[:3]}8" for name in ("rgb", "rgb24", "rgb888", "bgr", "bgr24", "bgr888")},
    **{name: f"{name[:4]}8" for name in ("rgba", "rgba32", "bgra", "bgra32")},
    "yuy2": "yuv422_yuy2",
}
"""ROS's names of encodings that others name differently, for hints."""
_DEPTH_ENCODINGS = ("32FC1", "16UC1", "mono16")
_WRITTEN = ("16UC1", "32FC1", "mono8", "rgb8")
_JPEG_QUALITY = 95
_PNG_LEVEL = 1


def known_encoding(msg: Any, what: str = "image", usable: Iterable[str] = tuple(LAYOUTS)) -> str:
    """Return a message's encoding as :data:`LAYOUTS` has it; some drivers write RGB8, or leave a blank behind it.

    Args:
        msg: any object with an ``encoding``.
        what: what to call it in errors.
        usable: the encodings that an error may propose.

    Raises:
        InputError: an unknown encoding.
    """
    encoding: str = msg.encoding
    if encoding in LAYOUTS:
        return encoding
    plain = encoding[:40].strip("\0 ").lower()
    if plain in _BY_LOWER_CASE:
        return _BY_LOWER_CASE[plain]
    names = {name.lower(): name for name in usable}
    names |= {name: ours for name, ours in _ELSEWHERE.items() if ours in names.values()}
    close = difflib.get_close_matches(plain, names, n=1)
    hint = f"did you mean {names[close[0]]}?" if close else f"known are {', '.join(dict.fromkeys(names.values()))}"
    raise InputError(what, f"unknown encoding {encoding[:40]!r}", hint)


def stored_pixels(msg: Any, what: str = "image") -> NDArray[Any]:
    """Return a message's pixels as stored, checked and in this machine's byte order.

    Args:
        msg: a ``sensor_msgs/Image``, or any object with its fields.
        what: what to call it in errors, usually the topic.

    Returns:
        (H, W) or (H, W, C) array of the encoding's own dtype ((1.5 H, W) for nv12 and nv21). Shares memory with the
        message unless rows are padded or the byte order differs; treat it as read-only.

    Raises:
        InputError: unknown encoding, size of zero or above :data:`MAX_PIXELS`, a row step too small for the width or
            not a multiple of the value's size, or fewer bytes than step and height need.
    """
    encoding = known_encoding(msg, what)
    layout = LAYOUTS[encoding]
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    dtype = np.dtype(layout.dtype)
    _check_size(what, encoding, layout, height, width)
    row = width * layout.channels * dtype.itemsize
    if step < row or step % dtype.itemsize:
        raise InputError(
            what,
            f"step is {step} bytes, but {width} pixels of {encoding} take {row} bytes a row",
            "step must be at least that and hold whole values",
        )
    rows = int(height * layout.rows)
    data = np.frombuffer(memoryview(msg.data).cast("B"), np.uint8)
    # Some drivers leave out the last row's padding, so only the last row's pixels are needed.
    needed = step * (rows - 1) + row
    if data.size < needed:
        raise InputError(
            what,
            f"{data.size} bytes of data, but {height} rows of {step} bytes in {encoding} need {needed}; "
            "the message is truncated",
        )
    shape = (rows, width) if layout.channels == 1 else (rows, width, layout.channels)
    strides = (step, layout.channels * dtype.itemsize, dtype.itemsize)[: len(shape)]
    pixels: NDArray[Any] = np.ndarray(
        shape, dtype.newbyteorder(">" if msg.is_bigendian else "<"), data, strides=strides
    )
    if not pixels.dtype.isnative:
        pixels = pixels.astype(dtype)
    return np.ascontiguousarray(pixels)


def _check_size(what: str, encoding: str, layout: Layout, height: int, width: int) -> None:
    if height <= 0 or width <= 0:
        raise InputError(what, f"empty, {width} x {height} pixels; width and height must be above 0")
    if height * width > MAX_PIXELS:
        raise InputError(what, f"claims {width} x {height} pixels, more than the {MAX_PIXELS} accepted")
    if layout.even and (width % 2 or (height % 2 and layout.rows != 1.0)):
        raise InputError(what, f"{encoding} needs even sizes, got {width} x {height}")


def depth_from_image(msg: Any, what: str = "depth image") -> NDArray[np.float32]:
    """Return a depth image's metres.

    Args:
        msg: a ``sensor_msgs/Image`` after REP 118: 32FC1 metres, or 16UC1 (also mono16) millimetres.
        what: what to call it in errors.

    Returns:
        (H, W) float32 metres, NaN where invalid. A fresh array.

    Raises:
        InputError: another encoding, or whatever :func:`stored_pixels` finds wrong.
    """
    if known_encoding(msg, what, _DEPTH_ENCODINGS) not in _DEPTH_ENCODINGS:
        raise InputError(what, f"encoding {msg.encoding[:40]!r} holds no depth", f"use {' or '.join(_DEPTH_ENCODINGS)}")
    pixels = stored_pixels(msg, what)
    if pixels.dtype == np.uint16:
        return depth_maps.from_millimetres(pixels)
    return depth_maps.invalidate(pixels)


def image_from_array(pixels: NDArray[Any], encoding: str, header: Any, types: MessageTypes = ROS) -> Any:
    """Build an image message from an array.

    Args:
        pixels: (H, W) or (H, W, C) array of the encoding's dtype, any strides.
        encoding: one of :data:`LAYOUTS`, such as ``rgb8``, ``mono8``, ``32FC1`` or ``16UC1``.
        header: ``std_msgs/Header`` to put into the message, shared and not copied.
        types: where the message's class comes from. ROS's own messages hold a copy of the pixels.

    Raises:
        InputError: the array is empty or its shape or dtype is not the encoding's.
    """
    layout = LAYOUTS.get(encoding)
    if layout is None or layout.rows != 1.0:
        raise InputError(f"encoding {encoding!r} cannot be written", "", f"use one of {', '.join(_WRITTEN)}")
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.ndim not in (2, 3) or pixels.dtype != layout.dtype or channels != layout.channels or not pixels.size:
        raise InputError(
            f"{encoding} needs a non-empty (H, W{f', {layout.channels}' if layout.channels > 1 else ''}) "
            f"{layout.dtype} array, got {pixels.shape} {pixels.dtype}"
        )
    return types.make(
        "sensor_msgs/msg/Image",
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big"),
        step=pixels.shape[1] * channels * pixels.dtype.itemsize,
        data=np.ascontiguousarray(pixels).reshape(-1).view(np.uint8),
    )


def compressed_from_array(pixels: NDArray[np.uint8], kind: str, header: Any, types: MessageTypes = ROS) -> Any:
    """Build a ``sensor_msgs/CompressedImage`` as ``compressed_image_transport`` makes it.

    Args:
        pixels: (H, W, 3) uint8 RGB or (H, W) uint8 grey.
        kind: ``jpeg`` (quality 95) or ``png``.
        header: its ``std_msgs/Header``.
        types: where the message's class comes from.
    """
    grey = pixels.ndim == 2
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if kind == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL]
    _, data = cv2.imencode(f".{kind}", pixels if grey else pixels[..., ::-1], options)
    name = f"mono8; {kind} compressed " if grey else f"rgb8; {kind} compressed bgr8"
    return types.make("sensor_msgs/msg/CompressedImage", header=header, format=name, data=data.reshape(-1))


def header_at(stamp_ns: int, frame_id: str, types: MessageTypes = ROS) -> Any:
    """Return a ``std_msgs/Header``; ``stamp_ns`` in nanoseconds since 1970."""
    return types.make("std_msgs/msg/Header", stamp=time_at(stamp_ns, types), frame_id=frame_id)


def time_at(time_ns: int, types: MessageTypes = ROS) -> Any:
    """Return a ``builtin_interfaces/Time``; ``time_ns`` in nanoseconds since 1970."""
    seconds, nanoseconds = divmod(int(time_ns), 1_000_000_000)
    return types.make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)


def stamp_ns(message: Any) -> int:
    """Return the stamp of a message's header, nanoseconds."""
    return nanoseconds(message.header.stamp)


def nanoseconds(time: Any) -> int:
    """Return a ``builtin_interfaces/Time`` as nanoseconds since 1970."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)
