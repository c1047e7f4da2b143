"""NYU Depth V2 in the layout of the field's lists: ``<root>/<scene>/rgb_00000.jpg`` with ``sync_depth_00000.png``."""

from __future__ import annotations

from pathlib import Path

from space_clip_ros.data.listed_frames import ListedFrames

DEPTH_FORMAT = "mm"


def nyu_frames(file_list: Path, image_root: Path, depth_root: Path, weight: float = 1.0) -> ListedFrames:
    """Return the frames of one NYU list; depth PNGs are uint16 millimetres.

    Raises:
        DataError: the list cannot be read.
    """
    return ListedFrames(file_list, image_root, depth_root, DEPTH_FORMAT, weight)
