"""Point clouds to NumPy arrays and back, with one copy at most."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import InputError
from space_clip_ros.messages.types import ROS, MessageTypes

_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""NumPy's name of each datatype of ``sensor_msgs/PointField``."""
_FLOAT32 = 7
_FIELDS = ("x", "y", "z", "rgb")
_MAX_POINT_STEP = 1 << 16


def cloud_from_points(points: NDArray[np.float32], header: Any, types: MessageTypes = ROS) -> Any:
    """Build a cloud of points.

    Args:
        points: (h, w, 3) float32 x y z in metres, NaN where invalid, for an organised cloud; or (n, 3), all of them
            valid, for a dense one of one row. With 4 in place of 3 the bits of the fourth value are 0x00RRGGBB, which
            becomes the field ``rgb`` as in PCL.
        header: ``std_msgs/Header`` to put into the message, shared and not copied.
        types: where the message's class comes from. ROS's own messages hold a copy of the points.

    Raises:
        InputError: another shape or dtype, or an organised cloud without points.
    """
    dense = points.ndim == 2
    if points.ndim not in (2, 3) or points.shape[-1] not in (3, 4) or points.dtype != np.float32:
        raise InputError(
            f"points must be a (h, w, 3 or 4) or (n, 3 or 4) float32 array, got {points.shape} {points.dtype}"
        )
    if not dense and not points.size:
        raise InputError(f"points of an organised cloud must not be empty, got {points.shape}")
    fields = dict.fromkeys(_FIELDS[: points.shape[-1]], 1)
    return _cloud(points[None] if dense else points, fields, dense, header, types)


def cloud_from_tokens(
    points: NDArray[np.float32], features: NDArray[np.float32], header: Any, types: MessageTypes = ROS
) -> Any:
    """Build an organised cloud of an image's patches: x, y, z, and ``feature``, one field of D numbers.

    Args:
        points: (rows, columns, 3) float32 x y z in metres, NaN where invalid.
        features: (rows, columns, D) float32.
        header: ``std_msgs/Header``, shared.
        types: where the message's class comes from.

    Raises:
        InputError: shapes that do not fit together, or another dtype.
    """
    if points.shape[:-1] != features.shape[:-1] or points.ndim != 3 or points.shape[-1] != 3 or not features.size:
        raise InputError(f"tokens need (h, w, 3) points and (h, w, D) features, got {points.shape}, {features.shape}")
    if points.dtype != np.float32 or features.dtype != np.float32:
        raise InputError(f"tokens must be float32, got {points.dtype} and {features.dtype}")
    fields = {"x": 1, "y": 1, "z": 1, "feature": features.shape[-1]}
    return _cloud(np.concatenate([points, features], axis=-1), fields, False, header, types)


def cloud_from_scan(scan: NDArray[np.float32], header: Any, types: MessageTypes = ROS) -> Any:
    """Build an unorganised cloud from a LiDAR scan.

    Args:
        scan: (N, 4) float32 x y z in metres and intensity; N may be 0.
        header: ``std_msgs/Header``, shared.
        types: where the message's class comes from.

    Raises:
        InputError: another shape or dtype.
    """
    if scan.ndim != 2 or scan.shape[1] != 4 or scan.dtype != np.float32:
        raise InputError(f"scan must be an (N, 4) float32 array, got {scan.shape} {scan.dtype}")
    dense = bool(np.isfinite(scan[:, :3]).all())
    return _cloud(scan[None], dict.fromkeys(("x", "y", "z", "intensity"), 1), dense, header, types)


def points_from_cloud(msg: Any, what: str = "cloud") -> NDArray[Any]:
    """Return a cloud's points by field name.

    Args:
        msg: a ``sensor_msgs/PointCloud2``, or any object with its fields.
        what: what to call it in errors, usually the topic.

    Returns:
        (height, width) structured array with one named value a field (an array where its count is above 1), e.g.
        ``points["x"]``; a read-only view on the message's memory, in the message's byte order.

    Raises:
        InputError: fields that reach beyond the point, repeat or have unknown types; steps that are too small; or
            fewer bytes than height and row step need.
    """
    return _points(msg, what)


def _points(msg: Any, what: str, wanted: str = "") -> NDArray[Any]:
    """Return a cloud's points by field name; see :func:`_point_dtype` for ``wanted``."""
    height, width, point_step, row_step = int(msg.height), int(msg.width), int(msg.point_step), int(msg.row_step)
    dtype = _point_dtype(msg, point_step, what, wanted)
    # A cloud of one row needs no step to the next.
    row_step = max(row_step, width * point_step) if height == 1 else row_step
    if row_step < width * point_step:
        raise InputError(
            what, f"row_step is {row_step} bytes, but {width} points of {point_step} take {width * point_step}"
        )
    needed = row_step * (height - 1) + width * point_step if height and width else 0
    data = memoryview(msg.data).cast("B").toreadonly()
    if len(data) < needed:
        raise InputError(
            what,
            f"{len(data)} bytes of data, but {height} rows of {row_step} bytes need {needed}; the message is truncated",
        )
    if not needed:
        return np.empty((height, width), dtype)
    return np.ndarray((height, width), dtype, data, strides=(row_step, point_step))


def xyz_from_cloud(msg: Any, what: str = "cloud", most: int = 0) -> NDArray[np.float32]:
    """Return the positions of a cloud's points.

    Args:
        msg: as for :func:`points_from_cloud`.
        what: what to call it in errors, usually the topic.
        most: keep about this many, every n-th of them; 0 for all.

    Returns:
        (N, 3) float32 x y z, NaN where the message has it.

    Raises:
        InputError: as :func:`points_from_cloud`, or the fields x, y and z are not three single numbers.
    """
    given = [field.name for field in msg.fields]
    if not set("xyz") <= set(given):
        raise InputError(what, f"needs the fields x, y and z, got {', '.join(given)[:80]}")
    points = _points(msg, what, "xyz")
    if any(points.dtype[name].shape for name in "xyz"):
        raise InputError(what, "needs one number in each of the fields x, y and z")
    flat = points.reshape(-1)[:: -(-points.size // most) if most and points.size > most else 1]
    return np.stack([flat[name].astype(np.float32) for name in "xyz"], axis=-1)


def _point_dtype(msg: Any, point_step: int, what: str, wanted: str = "") -> np.dtype[Any]:
    """Return the fields of a point; only those named by the letters of ``wanted``, if it is given."""
    if not 0 < point_step <= _MAX_POINT_STEP:
        raise InputError(what, f"point_step is {point_step} bytes; 1 to {_MAX_POINT_STEP} are accepted")
    order = ">" if msg.is_bigendian else "<"
    names, formats, offsets = [], [], []
    for field in msg.fields:
        if wanted and field.name not in tuple(wanted):
            continue
        if field.datatype not in _DTYPES:
            raise InputError(what, f"field {field.name[:40]!r} has unknown datatype {field.datatype}")
        kind = np.dtype(order + _DTYPES[field.datatype])
        count = max(int(field.count), 1)
        end = int(field.offset) + count * kind.itemsize
        if end > point_step:
            raise InputError(
                what, f"field {field.name[:40]!r} ends at byte {end}, beyond the point_step of {point_step}"
            )
        names.append(field.name)
        formats.append(kind if count == 1 else np.dtype((kind, (count,))))
        offsets.append(int(field.offset))
    if not names or len(set(names)) != len(names) or not all(names):
        raise InputError(what, f"needs named fields without repeats, got {names[:10]}")
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": point_step})


def _cloud(
    values: NDArray[np.float32], counts: Mapping[str, int], dense: bool, header: Any, types: MessageTypes
) -> Any:
    """Build the cloud of (h, w, n) float32 values; the fields have ``counts`` of them, n together."""
    offsets = itertools.accumulate(counts.values(), initial=0)
    fields = [
        types.make("sensor_msgs/msg/PointField", name=name, offset=4 * offset, datatype=_FLOAT32, count=count)
        for (name, count), offset in zip(counts.items(), offsets, strict=False)
    ]
    height, width = values.shape[:2]
    point_step = 4 * values.shape[-1]
    return types.make(
        "sensor_msgs/msg/PointCloud2",
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=sys.byteorder == "big",
        point_step=point_step,
        row_step=point_step * width,
        data=np.ascontiguousarray(values).reshape(-1).view(np.uint8),
        is_dense=dense,
    )
