"""Reads file lists of KITTI and NYU, one sample a line.

Accepted lines:

* BTS, AdaBins, NeWCRFs and NYU: ``image depth focal``, ``None`` for no depth, the focal length optional;
* monodepth2: ``2011_09_26/2011_09_26_drive_0022_sync 473 r``;
* SfMLearner: ``2011_09_26_drive_0022_sync_03 0000000473``;
* Eigen et al. and monodepth: the picture of a KITTI drive, alone or with the right camera's picture.

The last three name no depth; the frame's annotated depth is used.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import NamedTuple

from space_clip_ros.errors import DataError

_LOG = logging.getLogger(__name__)
_DRIVE = r"\d{4}_\d\d_\d\d_drive_\d{4,}"
_PICTURE = re.compile(
    rf"(?:.*/)?(?P<drive>{_DRIVE})(?:_sync)?/image_(?P<camera>0[0-3])/data/(?P<frame>\d+)\.(?:png|jpe?g)"
)
_FOLDER = re.compile(rf"(?:.*/)?(?P<drive>{_DRIVE})(?:_sync)?")
_SEQUENCE = re.compile(rf"(?P<drive>{_DRIVE})_sync_(?P<camera>0[0-3])")
_SIDES = {"l": "02", "r": "03"}
_UNKNOWN = float("nan")


class ListedSample(NamedTuple):
    """One line of a file list.

    Attributes:
        image: path of the picture, relative to the image root.
        depth: path of the depth PNG, relative to the depth root.
        focal: focal length in pixels; NaN if the line has none.
        line: line number, from 1.
        names_depth: whether the line names the depth; if not, ``depth`` is where KITTI's annotated depth would be.
    """

    image: str
    depth: str
    focal: float
    line: int
    names_depth: bool = True


def read_file_list(path: str | Path) -> list[ListedSample]:
    """Read a file list, skipping blank lines. Images without ground truth (depth ``None``) are skipped with a warning.

    Raises:
        DataError: the file cannot be read, holds no sample, or a line is none of those above.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, f"cannot be read as a file list ({error})") from error
    listed = [_parse(path, number, line.split()) for number, line in enumerate(lines, start=1) if line.strip()]
    samples = [sample for sample in listed if sample.depth != "None"]
    if not samples:
        raise DataError(path, "holds no sample", "each line must be `image depth focal`")
    if len(samples) < len(listed):
        _LOG.warning("%s: %d of %d lines have no depth (None)", path, len(listed) - len(samples), len(listed))
    return samples


def _parse(path: Path, number: int, words: list[str]) -> ListedSample:
    where = f"{path}, line {number}"
    frame = _kitti_frame(words, number)
    if frame is not None:
        return frame
    if len(words) == 3 and words[0].isdecimal() and words[2] in _SIDES:
        raise DataError(where, "is a frame of KITTI's odometry set, which has no depth", "give a list of KITTI raw")
    if len(words) not in (2, 3):
        raise DataError(where, f"must be `image depth focal`, got {len(words)} words")
    try:
        focal = float(words[2]) if len(words) == 3 else _UNKNOWN
    except ValueError as error:
        raise DataError(where, f"the focal length must be a number, got {words[2]!r}") from error
    # NYU's lists start every path with a slash, although the paths are relative.
    return ListedSample(words[0].lstrip("/"), words[1].lstrip("/"), focal, number)


def _kitti_frame(words: list[str], number: int) -> ListedSample | None:
    """Return the sample of a line that names a frame of KITTI raw but not its depth; None for other lines."""
    if picture := _PICTURE.fullmatch(words[0]):
        if len(words) == 1 or (len(words) == 2 and _PICTURE.fullmatch(words[1])):
            depth = _annotated(picture["drive"], picture["camera"], int(picture["frame"]))
            return ListedSample(words[0].lstrip("/"), depth, _UNKNOWN, number, names_depth=False)
        return None
    if len(words) not in (2, 3) or not words[1].isdecimal():
        return None
    frame = int(words[1])
    if len(words) == 2 and (sequence := _SEQUENCE.fullmatch(words[0])):
        drive, camera = sequence["drive"], sequence["camera"]
        folder = f"{drive[:10]}/{drive}_sync"
    elif len(words) == 3 and words[2] in _SIDES and (match := _FOLDER.fullmatch(words[0])):
        drive, camera = match["drive"], _SIDES[words[2]]
        folder = words[0].lstrip("/")
    else:
        return None
    image = f"{folder}/image_{camera}/data/{frame:010d}.png"
    return ListedSample(image, _annotated(drive, camera, frame), _UNKNOWN, number, names_depth=False)


def kitti_sample(drive: str, camera: str, frame: int, line: int) -> ListedSample:
    """Return a frame of KITTI raw with its annotated depth, as the lists of BTS and AdaBins name both.

    Args:
        drive: its KITTI name, ``<date>_drive_NNNN_sync``.
        camera: ``02`` is the left colour camera, ``03`` the right one.
        frame: number of the frame.
        line: its place in the list, from 1.
    """
    image = f"{drive[:10]}/{drive}/image_{camera}/data/{frame:010d}.png"
    return ListedSample(image, _annotated(drive.removesuffix("_sync"), camera, frame), _UNKNOWN, line)


def _annotated(drive: str, camera: str, frame: int) -> str:
    return f"{drive}_sync/proj_depth/groundtruth/image_{camera}/{frame:010d}.png"
