"""A quick look at every file before training, so that hours do not end on a missing picture."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from space_clip_ros.data.collection import FrameCollection
from space_clip_ros.errors import DataError

_READERS = 16
_TAIL = 64
# What a whole file begins and ends with; OpenCV fills what a cut-off picture lacks with grey and says nothing.
_MARKS = {
    ".png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    ".jpg": (b"\xff\xd8", b"\xff\xd9"),
    ".jpeg": (b"\xff\xd8", b"\xff\xd9"),
}
_SCAN_POINT_BYTES = 16


class Broken(NamedTuple):
    """A frame that cannot be used: its index and why."""

    number: int
    reason: str


def scan(frames: FrameCollection, on_frame: Callable[[], None]) -> list[Broken]:
    """Return the frames whose files are missing, empty, cut off or of another kind than their name says.

    Only a file's size, first and last bytes are read.

    Args:
        frames: what to look at.
        on_frame: called after each frame.
    """
    broken = []
    with ThreadPoolExecutor(_READERS) as pool:
        for index, reason in enumerate(pool.map(lambda index: _reason(frames, index), range(len(frames)))):
            if reason:
                broken.append(Broken(index, reason))
            on_frame()
    return broken


def checked(
    frames: FrameCollection, skip_broken: bool, on_frame: Callable[[], None], on_message: Callable[[str], None]
) -> FrameCollection:
    """Return the frames that :func:`scan` finds whole.

    Args:
        frames: what to look at.
        skip_broken: leave broken frames out and say how many, instead of raising.
        on_frame: called after each frame.
        on_message: told what was left out.

    Raises:
        DataError: a frame is broken and ``skip_broken`` is false, or every frame is.
    """
    broken = scan(frames, on_frame)
    if not broken:
        return frames
    first = broken[0].reason
    if not skip_broken or len(broken) == len(frames):
        raise DataError(
            f"{len(broken)} of {len(frames)} frames cannot be used, the first: {first}; "
            "fetch the files again or set data.skip_broken=true"
        )
    on_message(f"left out {len(broken)} of {len(frames)} frames that cannot be used, the first: {first}")
    return frames.without([frame.number for frame in broken])


def _reason(frames: FrameCollection, index: int) -> str:
    try:
        for path in frames.files(index):
            _check(path)
    except DataError as error:
        return f"{frames.label(index)}: {error}"
    return ""


def _check(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(8)
            size = file.seek(0, 2)
            file.seek(max(size - _TAIL, 0))
            tail = file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not size:
        raise DataError(f"{path}: is empty")
    if path.suffix == ".bin" and size % _SCAN_POINT_BYTES:
        raise DataError(f"{path}: {size} bytes are no whole number of scan points")
    start, end = _MARKS.get(path.suffix.lower(), (b"", b""))
    if not head.startswith(start):
        raise DataError(f"{path}: is not the {path.suffix} file its name says")
    if end not in tail:
        raise DataError(f"{path}: is cut off")
