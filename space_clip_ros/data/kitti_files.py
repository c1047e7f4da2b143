"""Finds and reads the files of a KITTI raw drive: numbered frames, time stamps, laser scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from space_clip_ros.errors import DataError

Scan = npt.NDArray[np.float32]

POINT_BYTES = 16
"""Bytes of one point of a scan: x, y, z and reflectance as float32."""


def drive_folder(path: str | Path) -> Path:
    """Return the absolute path of a drive's folder.

    Raises:
        DataError: it is missing, is a folder above drives (the error lists them), or holds an unrectified ``_extract``
            drive.
    """
    drive = Path(path).expanduser().absolute()
    if not drive.is_dir():
        raise DataError(path, "no such folder", "give a KITTI raw drive (.../<date>/<date>_drive_NNNN_sync)")
    if drive.name.endswith("_extract"):
        raise DataError(path, "holds unrectified images", "use the drive's _sync version")
    if any(drive.glob("image_0[0-3]")):
        return drive
    below = sorted({*drive.glob("*_drive_*_sync"), *drive.glob("*/*_drive_*_sync")})
    if below:
        names = ", ".join(str(found.relative_to(drive)) for found in below[:8])
        more = f" and {len(below) - 8} more" if len(below) > 8 else ""
        raise DataError(path, "is not a drive but a folder above", f"drives in it: {names}{more}")
    raise DataError(path, "is not a KITTI raw drive: it has no image_02 folder")


def numbered_files(folder: Path, suffix: str) -> dict[int, Path]:
    """Return the files named by a frame number, in ascending order; nothing if the folder does not exist."""
    return {int(path.stem): path for path in sorted(folder.glob(f"*{suffix}")) if path.stem.isdecimal()}


def read_stamps(path: Path, frame_ids: list[int]) -> npt.NDArray[np.int64]:
    """Read the stamps of the given frames from ``timestamps.txt``, whose line n + 1 belongs to frame n.

    KITTI writes local time without a time zone; it is read as UTC.

    Returns:
        (len(frame_ids),) int64 nanoseconds since 1970.

    Raises:
        DataError: the file is missing, or a frame's line is missing or not a time.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise DataError(path, f"cannot be read ({reason})", "every KITTI raw drive has it") from error
    if frame_ids and frame_ids[-1] >= len(lines):
        raise DataError(path, f"has {len(lines)} lines, but frame {frame_ids[-1]} needs line {frame_ids[-1] + 1}")
    return np.array([_stamp(lines[frame], path, frame) for frame in frame_ids], np.int64)


def read_scan(path: Path) -> Scan:
    """Read a Velodyne scan: (N, 4) float32, x forward, y left, z up in metres and reflectance in [0, 1].

    Raises:
        DataError: the file is missing, empty, or does not hold whole points.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})") from error
    if not data or len(data) % POINT_BYTES:
        raise DataError(path, f"{len(data)} bytes are not whole points of {POINT_BYTES}", "the file was cut short")
    return np.frombuffer(data, "<f4").reshape(-1, 4).astype(np.float32)


def _stamp(line: str, path: Path, frame: int) -> int:
    try:
        stamp = np.datetime64(line.strip(), "ns")
    except ValueError as error:
        raise DataError(path, f"line {frame + 1} is not a time: {line[:60]!r}") from error
    if np.isnat(stamp):
        raise DataError(path, f"line {frame + 1}, the time of frame {frame}, is empty")
    return int(stamp.astype(np.int64))
