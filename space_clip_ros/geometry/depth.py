"""Depth maps: the one place that defines invalid depth and converts metres to integers and back.

Depth is the distance along the optical axis (z), not along the ray. In float32 metres, invalid is NaN; zero, negative
and infinite values count as invalid too and become NaN. In uint16, invalid is 0 (REP 118).
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.files import write_whole
from space_clip_ros.geometry.camera import check_size
from space_clip_ros.geometry.image_file import read_image

Depth = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]

_SMALLEST = float(np.finfo(np.float32).tiny)
_LARGEST = float(np.finfo(np.float32).max)
_CODES = 65535
_SCALES = {"mm": 1000.0, "kitti": 256.0}
LARGEST_M = {format: _CODES / scale for format, scale in _SCALES.items()}
"""Largest depth that each 16-bit format holds, metres; beyond it depth is written as invalid."""


def valid(depth: npt.NDArray[np.floating], min_depth: float = 0.0, max_depth: float = math.inf) -> Mask:
    """Return which pixels hold a depth within [min_depth, max_depth] metres; NaN, infinity, 0 and below never do.

    Raises:
        InputError: ``depth`` is not floating point, or the range is empty or NaN.
    """
    check_float(depth)
    low, high = _bounds(min_depth, max_depth)
    return np.asarray((depth >= low) & (depth <= high))


def invalidate(depth: Depth, min_depth: float = 0.0, max_depth: float = math.inf, *, out: Depth | None = None) -> Depth:
    """Return float32 metres with NaN wherever :func:`valid` is false.

    Args:
        depth: metres, any shape.
        min_depth: nearest depth kept, metres.
        max_depth: furthest depth kept, metres.
        out: float32 array of the same shape to write into and return, possibly ``depth`` itself; None for a new one.

    Raises:
        InputError: as :func:`valid`, or ``out`` does not fit.
    """
    lost = valid(depth, min_depth, max_depth)
    np.logical_not(lost, out=lost)
    if out is not None and (out.dtype != np.float32 or out.shape != depth.shape or not out.flags.writeable):
        raise InputError(f"out must be writeable float32 of shape {depth.shape}, got {out.dtype} of shape {out.shape}")
    with np.errstate(over="ignore"):
        return _marked(depth.astype(np.float32, copy=False), lost, out)


def invalidate_beyond(depth: Depth, max_depth: float, *, out: Depth | None = None) -> Depth:
    """Return float32 metres with NaN beyond a depth; a quicker :func:`invalidate` for maps it has been through already.

    Args:
        depth: float32 metres, any shape, NaN or positive.
        max_depth: furthest depth kept, metres.
        out: float32 array of the same shape to write into and return; None for a new one.
    """
    return _marked(depth, depth > np.float32(max_depth), out)


def quantile(depth: npt.NDArray[np.floating], share: float, axis: int) -> npt.NDArray[np.floating]:
    """Return a quantile along an axis; NaN where no value is finite.

    Values that are not finite are left out. Between two values it takes the closer one, and the smaller one halfway.
    NumPy's ``nanquantile`` is far slower.

    Args:
        depth: of any shape.
        share: from 0, the smallest, to 1, the largest.
        axis: the axis that is dropped.
    """
    # np.sort puts NaN last.
    values = np.sort(depth, axis=axis)
    last = np.maximum(np.isfinite(values).sum(axis=axis, keepdims=True) - 1, 0)
    return np.take_along_axis(values, np.ceil(share * last - 0.5).astype(int), axis=axis).squeeze(axis)


def to_millimetres(depth: Depth) -> Codes:
    """Encode metres as uint16 millimetres, rounded; 0 where invalid (REP 118).

    Depth beyond 65.535 m does not fit and becomes 0 too, because clipping it would state a wrong distance.

    Raises:
        InputError: ``depth`` is not floating point.
    """
    return _to_codes(np.rint(_scaled(depth, "mm")))


def from_millimetres(codes: Codes) -> Depth:
    """Decode uint16 millimetres to float32 metres, NaN where 0.

    Raises:
        InputError: ``codes`` is not uint16.
    """
    return _from_codes(codes, _SCALES["mm"])


def to_kitti_png(depth: Depth) -> Codes:
    """Encode metres as KITTI's uint16 metres * 256, 0 where invalid or 256 m and beyond.

    The product is truncated, not rounded, as in KITTI's ground truth. Valid depth below 1/256 m becomes 0.

    Raises:
        InputError: ``depth`` is not floating point.
    """
    return _to_codes(_scaled(depth, "kitti"))


def from_kitti_png(codes: Codes) -> Depth:
    """Decode KITTI's uint16 metres * 256 to float32 metres, exactly; NaN where 0.

    Raises:
        InputError: ``codes`` is not uint16.
    """
    return _from_codes(codes, _SCALES["kitti"])


def read_depth_png(path: str | Path, format: str = "mm") -> Depth:
    """Read a 16-bit depth PNG as (H, W) float32 metres, NaN where invalid.

    Args:
        path: the file.
        format: ``mm`` (uint16 millimetres, as ROS and NYU use) or ``kitti`` (uint16 metres * 256).

    Raises:
        InputError: an unknown format.
        DataError: the file is missing, damaged, or not a one-channel 16-bit image.
    """
    scale = _scale(format)
    codes = read_image(path, cv2.IMREAD_UNCHANGED)
    if codes.dtype != np.uint16 or codes.ndim != 2:
        channels = 1 if codes.ndim == 2 else codes.shape[2]
        raise DataError(path, f"a depth image has one 16-bit channel, this one has {channels} of {codes.dtype}")
    return _from_codes(codes.astype(np.uint16, copy=False), scale)


def write_depth_png(path: str | Path, depth: Depth, format: str = "mm") -> None:
    """Write (H, W) float32 metres as a 16-bit PNG; see :func:`read_depth_png` for the formats.

    Raises:
        InputError: an unknown format, or ``depth`` is not (H, W) floating point.
        DataError: the file cannot be written.
    """
    _scale(format)
    check_map(depth)
    codes = to_millimetres(depth) if format == "mm" else to_kitti_png(depth)
    encoded, data = cv2.imencode(".png", codes)
    if not encoded:
        raise DataError(path, f"a {codes.shape[1]}x{codes.shape[0]} depth image could not be encoded as PNG")
    write_whole(Path(path), data.tobytes())


def resize_nearest(depth: Depth, width: int, height: int) -> Depth:
    """Resize by taking the pixel that contains each new centre, as Pillow does, without mixing depths or NaN.

    Raises:
        InputError: ``depth`` is not (H, W) floating point, or a side is below one pixel.
    """
    return _resize(depth, width, height, cv2.INTER_NEAREST_EXACT)


def resize_bilinear(depth: Depth, width: int, height: int, *, out: Depth | None = None) -> Depth:
    """Resize a dense map bilinearly without antialiasing (``align_corners=False``); NaN spreads to neighbours.

    Args:
        depth: (H, W) floating point.
        width: of the result, pixels.
        height: of the result, pixels.
        out: contiguous float32 array of the result's shape to write into and return; None for a new one.

    Raises:
        InputError: ``depth`` is not (H, W) floating point, a side is below one pixel, or ``out`` does not fit.
    """
    return _resize(depth, width, height, cv2.INTER_LINEAR, out)


def check_float(depth: npt.NDArray[np.generic]) -> None:
    """Raise :class:`InputError` unless ``depth`` is an array of floating-point metres."""
    if not isinstance(depth, np.ndarray) or not np.issubdtype(depth.dtype, np.floating):
        kind = getattr(depth, "dtype", type(depth).__name__)
        raise InputError(f"depth must be an array of float32 metres, got {kind}", remedy="decode integer depth first")


def check_map(depth: npt.NDArray[np.generic]) -> None:
    """Raise :class:`InputError` unless ``depth`` is a non-empty (H, W) array of floating-point metres."""
    check_float(depth)
    if depth.ndim != 2 or not depth.size:
        raise InputError(f"a depth map must have shape (H, W), got {depth.shape}")


def _resize(depth: Depth, width: int, height: int, interpolation: int, out: Depth | None = None) -> Depth:
    check_map(depth)
    check_size(width, height, "resized depth")
    if out is None:
        out = np.empty((height, width), np.float32)
    elif out.shape != (height, width) or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise InputError(f"out must be contiguous float32 of shape {(height, width)}, got {out.dtype} of {out.shape}")
    if depth.shape == out.shape:
        np.copyto(out, depth, casting="same_kind")
    else:
        cv2.resize(depth.astype(np.float32, copy=False), (width, height), dst=out, interpolation=interpolation)
    return out


def _bounds(min_depth: float, max_depth: float) -> tuple[np.float32, np.float32]:
    if not min_depth <= max_depth or max_depth <= 0:
        raise InputError(
            f"depth range must run from min_depth up to a positive max_depth, got {min_depth}, {max_depth}"
        )
    return np.float32(max(min_depth, _SMALLEST)), np.float32(min(max_depth, _LARGEST))


def _marked(depth: Depth, lost: Mask, out: Depth | None) -> Depth:
    """Return ``depth`` with NaN where ``lost`` is true. ``lost`` is overwritten."""
    # A float with every bit set is a NaN; this is eight times faster than a masked copy.
    marked = np.bitwise_or(depth.view(np.int32), _bits(lost), out=None if out is None else out.view(np.int32))
    return marked.view(np.float32) if out is None else out


def _bits(mask: Mask) -> npt.NDArray[np.int8]:
    """Turn ``mask``, in place, into -1 (every bit set) where it is true and 0 elsewhere."""
    # One byte per pixel is enough: the bitwise operators widen -1 to every bit set, block by block in the cache.
    bits = mask.view(np.int8)
    return np.negative(bits, out=bits)


def _scaled(depth: Depth, format: str) -> Depth:
    check_float(depth)
    with np.errstate(over="ignore"):
        return np.multiply(depth, _SCALES[format], dtype=np.float32, casting="same_kind")


def _to_codes(scaled: Depth) -> Codes:
    # Casting NaN or too large values to integers is undefined in C, so they become zero first.
    fits = _bits((scaled >= 1) & (scaled < _CODES + 1))
    return np.bitwise_and(scaled.view(np.int32), fits).view(np.float32).astype(np.uint16)


def _from_codes(codes: Codes, scale: float) -> Depth:
    if not isinstance(codes, np.ndarray) or codes.dtype != np.uint16:
        raise InputError(f"encoded depth must be uint16, got {getattr(codes, 'dtype', type(codes).__name__)}")
    depth = codes.astype(np.float32)
    depth /= np.float32(scale)
    return invalidate(depth, out=depth)


def _scale(format: str) -> float:
    if format not in _SCALES:
        raise InputError(f"depth image format must be one of {', '.join(_SCALES)}, got {format!r}")
    return _SCALES[format]
