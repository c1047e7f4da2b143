"""Point clouds as PLY files: binary, little-endian, finite points only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import InputError
from space_clip_ros.files import write_whole
from space_clip_ros.geometry.color import Rgb

Points = npt.NDArray[np.float32]

_XYZ = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
_RGB = [("red", "u1"), ("green", "u1"), ("blue", "u1")]
_TYPES = {"<f4": "float", "u1": "uchar"}


def write_ply(path: str | Path, points: Points, colors: Rgb | None = None) -> int:
    """Write points to a binary PLY file, leaving out those that are not finite.

    Args:
        path: the file to write.
        points: (..., 3) floats, metres.
        colors: (..., 3) uint8 RGB of the same shape, or None.

    Returns:
        Number of points written.

    Raises:
        InputError: shapes or types that do not fit.
        DataError: the file cannot be written.
    """
    if points.ndim < 2 or points.shape[-1] != 3 or not np.issubdtype(points.dtype, np.floating):
        raise InputError(f"points must be floats of shape (..., 3), got {points.dtype} of shape {points.shape}")
    if colors is not None and (colors.shape != points.shape or colors.dtype != np.uint8):
        raise InputError(f"colors must be uint8 of shape {points.shape}, got {colors.dtype} of shape {colors.shape}")
    finite = np.isfinite(points).all(axis=-1)
    fields = _XYZ if colors is None else _XYZ + _RGB
    vertices = np.empty(int(finite.sum()), fields)
    for axis, (name, _) in enumerate(_XYZ):
        vertices[name] = points[..., axis][finite]
    if colors is not None:
        for channel, (name, _) in enumerate(_RGB):
            vertices[name] = colors[..., channel][finite]
    write_whole(Path(path), _header(fields, len(vertices)) + vertices.tobytes())
    return len(vertices)


def _header(fields: list[tuple[str, str]], count: int) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    lines += [f"property {_TYPES[kind]} {name}" for name, kind in fields]
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii")
