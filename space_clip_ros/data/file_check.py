"""Checks every file quickly before training, so that a run does not stop hours later at a missing picture."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from space_clip_ros.data.collection import FrameCollection
from space_clip_ros.data.kitti_files import POINT_BYTES
from space_clip_ros.errors import DataError
from space_clip_ros.files import LFS_POINTER, reading, refuse_lfs_pointer

_READERS = 16
_TAIL = 64
# How complete files begin and end; OpenCV fills the missing part of a truncated picture with grey without an error.
_SIGNATURES = {
    ".png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    ".jpg": (b"\xff\xd8", b"\xff\xd9"),
    ".jpeg": (b"\xff\xd8", b"\xff\xd9"),
}


class BrokenFrame(NamedTuple):
    """A frame that cannot be used: its index in the collection, and why."""

    number: int
    reason: str


def find_broken_frames(frames: FrameCollection, on_frame: Callable[[], None]) -> list[BrokenFrame]:
    """Return the frames that have a missing, empty or truncated file, or one that is not what its suffix says.

    Only the size and the first and last bytes of each file are read.

    Args:
        frames: the frames to check.
        on_frame: called after each frame.
    """
    broken = []
    with ThreadPoolExecutor(_READERS) as pool:
        for index, reason in enumerate(pool.map(lambda index: _reason(frames, index), range(len(frames)))):
            if reason:
                broken.append(BrokenFrame(index, reason))
            on_frame()
    return broken


def check_files(
    frames: FrameCollection, skip_broken: bool, on_frame: Callable[[], None], on_message: Callable[[str], None]
) -> FrameCollection:
    """Return the frames whose files are all complete.

    Args:
        frames: the frames to check.
        skip_broken: drop broken frames and report how many, instead of raising.
        on_frame: called after each frame.
        on_message: receives the report of dropped frames.

    Raises:
        DataError: a frame is broken and ``skip_broken`` is false, or every frame is broken.
    """
    broken = find_broken_frames(frames, on_frame)
    if not broken:
        return frames
    first = broken[0].reason
    if not skip_broken or len(broken) == len(frames):
        raise DataError(
            f"{len(broken)} of {len(frames)} frames cannot be used, the first: {first}",
            remedy="fetch the files again or set data.skip_broken=true",
        )
    on_message(f"skipped {len(broken)} of {len(frames)} frames that cannot be used, the first: {first}")
    return frames.without([frame.number for frame in broken])


def _reason(frames: FrameCollection, index: int) -> str:
    try:
        for path in frames.files(index):
            check_file(path)
    except DataError as error:
        return f"{frames.label(index)}: {error}"
    return ""


def check_file(path: Path) -> None:
    """Check a file's size and its first and last bytes.

    Raises:
        DataError: it is missing, empty or truncated, or not what its suffix says.
    """
    with reading(path), path.open("rb") as file:
        head = file.read(8)
        size = file.seek(0, 2)
        file.seek(max(size - _TAIL, 0))
        tail = file.read()
    if not size:
        raise DataError(path, "is empty")
    if LFS_POINTER.startswith(head):
        refuse_lfs_pointer(path)
    if path.suffix == ".bin" and size % POINT_BYTES:
        raise DataError(path, f"{size} bytes are not a whole number of scan points")
    start, end = _SIGNATURES.get(path.suffix.lower(), (b"", b""))
    if not head.startswith(start):
        raise DataError(path, f"is not the {path.suffix} file its name says")
    if end not in tail:
        raise DataError(path, "is cut off")
