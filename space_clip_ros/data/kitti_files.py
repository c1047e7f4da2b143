"""Finds and reads the files of a KITTI raw drive: numbered frames, time stamps, laser scans.

KITTI's own layout is ``<root>/<date>/<date>_drive_NNNN_sync``. Copies of it differ: links, pictures converted to JPEG,
no ``_sync``, no folder of the day, each archive unpacked into its own folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from space_clip_ros.data.kitti_calibration import CAMERAS_FILE
from space_clip_ros.errors import DataError, listed
from space_clip_ros.files import reading, refuse_lfs_pointer

Scan = npt.NDArray[np.float32]

POINT_BYTES = 16
"""Bytes of one point of a scan: x, y, z and reflectance as float32."""

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""Suffixes of a frame's picture, in order of preference."""

ANNOTATED_FOLDERS = (
    "",
    "train",
    "val",
    "data_depth_annotated/train",
    "data_depth_annotated/val",
    "data_depth_annotated",
)
"""Subfolders that may hold the drives of the annotated depth set, depending on where it was unpacked."""

_NAME = re.compile(r"(\d{4}_\d\d_\d\d)_drive_(\d{4,})(_sync|_extract)?")
_DAY = re.compile(r"\d{4}_\d\d_\d\d")
_LEVELS = 3


def drive_folder(path: str | Path) -> Path:
    """Return the absolute path of a drive's folder.

    Raises:
        DataError: it is missing, is a folder above or below a drive (the error names it), or holds an unrectified
            ``_extract`` drive.
    """
    drive = Path(path).expanduser().absolute()
    if not drive.is_dir():
        reason = "is a link to nothing" if drive.is_symlink() else "no such folder"
        raise DataError(path, reason, "give a KITTI raw drive (.../<date>/<date>_drive_NNNN_sync)")
    if _is_extract(drive):
        raise DataError(path, "holds unrectified images", "use the drive's _sync version")
    if _is_drive(drive):
        return drive
    below = [str(inner.relative_to(drive)) for inner in find_drives(drive)]
    if below:
        raise DataError(path, "is a folder of drives, not a drive", f"drives in it: {listed(below)}")
    above = next((folder for folder in drive.parents[:2] if _is_drive(folder)), None)
    remedy = f"give {above}" if above else ""
    if (drive / "image_2").is_dir():
        raise DataError(path, "is of KITTI's odometry or object set, not of its raw data", "give a raw drive")
    raise DataError(path, "is not a KITTI raw drive: it has no image_02 folder", remedy)


def find_drives(root: Path) -> Iterator[Path]:
    """Yield the drives at ``root`` or up to three levels below it, sorted by path; links never repeat one.

    An ``_extract`` drive is left out where its ``_sync`` version lies beside it.
    """
    seen: set[Path] = set()
    for drive in _drives(root, _LEVELS):
        twin = drive.with_name(drive.name.removesuffix("_extract") + "_sync")
        if drive.resolve() not in seen and not (_is_extract(drive) and _is_drive(twin)):
            seen.add(drive.resolve())
            yield drive


def drive_name(drive: Path) -> str:
    """Return a drive's KITTI name, ``<date>_drive_NNNN_sync``; the folder's name if it is not one of KITTI's.

    Recognises folders without ``_sync``, folders ``<date>/NNNN``, and links of any name to these.
    """
    for path in (drive, drive.resolve()):
        match = _NAME.fullmatch(path.name) or _NAME.fullmatch(f"{path.parent.name}_drive_{path.name}")
        if match:
            return f"{match[1]}_drive_{match[2]}_sync"
    return drive.name


def is_drive_name(name: str) -> bool:
    """Return whether a name is one that KITTI gives to its synchronised drives."""
    return bool(_NAME.fullmatch(name))


def calibration_folder(drive: Path) -> Path:
    """Return the folder with the calibration of a drive's day; the drive's parent folder if there is none.

    Raises:
        DataError: the only calibration lies beside drives of several days.
    """
    day = drive_name(drive)[:10]
    for path in dict.fromkeys((drive, drive.resolve())):
        archives = [folder / f"{day}_calib" / day for folder in path.parents[1:3]]
        days = [path.parent] if path.parent.name == day else []
        for folder in (*days, path.parent / day, path, *archives):
            if (folder / CAMERAS_FILE).is_file():
                return folder
        if (path.parent / CAMERAS_FILE).is_file():
            _check_one_day(path.parent)
            return path.parent
    return drive.parent


def numbered_files(folder: Path, *suffixes: str) -> dict[int, Path]:
    """Return the files named by a frame number, in ascending order; nothing if the folder does not exist.

    Args:
        folder: where they are.
        suffixes: accepted suffixes, in order of preference.
    """
    files: dict[int, Path] = {}
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for suffix in suffixes:
        for path in paths:
            if path.suffix.lower() == suffix and path.stem.isdecimal():
                files.setdefault(int(path.stem), path)
    return dict(sorted(files.items()))


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
        raise DataError(path, f"cannot be read ({reason})", "KITTI's archive of the drive has it") from error
    if frame_ids and frame_ids[-1] >= len(lines):
        raise DataError(path, f"has {len(lines)} lines, but frame {frame_ids[-1]} needs line {frame_ids[-1] + 1}")
    return np.array([_stamp(lines[frame], path, frame) for frame in frame_ids], np.int64)


def read_scan(path: Path) -> Scan:
    """Read a Velodyne scan: (N, 4) float32, x forward, y left, z up in metres and reflectance in [0, 1].

    Raises:
        DataError: the file is missing, empty, or does not hold whole points.
    """
    with reading(path):
        data = path.read_bytes()
    refuse_lfs_pointer(path)
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


def _is_drive(folder: Path) -> bool:
    return any((folder / f"image_{camera:02d}").is_dir() for camera in range(4))


def _is_extract(drive: Path) -> bool:
    return drive.name.endswith("_extract")


def _drives(folder: Path, levels: int) -> Iterator[Path]:
    if _is_drive(folder):
        yield folder
    elif levels and folder.is_dir():
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
        for name in names:
            # Annotated depth has folders of the same names as a drive.
            if name != "proj_depth" and not name.startswith("."):
                yield from _drives(folder / name, levels - 1)


def _check_one_day(folder: Path) -> None:
    days = {match[1] for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name))}
    if len(days) > 1 and not _DAY.fullmatch(folder.name):
        raise DataError(
            folder / CAMERAS_FILE,
            f"belongs to one day, but the drives beside it are of {', '.join(sorted(days))}",
            f"put each day's calibration into a folder of its name, such as {folder / min(days)}",
        )
