"""A film of a recording: image and depth side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from space_clip_ros.config import NodeConfig
from space_clip_ros.errors import DataError
from space_clip_ros.files import written_whole
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.pictures import Size, depth_picture, resized
from space_clip_ros.tools.reporting.recorded_frames import RecordedFrame, read_frames
from space_clip_ros.tools.reporting.recording import Topics

# In order of preference: browsers play the first. OpenCV from pip writes VP9 and MPEG-4 part 2.
_CODECS = ("vp09", "mp4v")
_WIDTH = 1920
_GAP = 4
_RATES_HZ = (1.0, 60.0)


def write_video(
    path: Path, bag: BagReader, topics: Topics, rate_hz: float, node: NodeConfig, on_frame: Callable[[], None]
) -> int:
    """Write every frame that has image and depth into an MP4; return how many there are.

    Args:
        path: file of the film; it appears only once it is complete.
        bag: an open bag.
        topics: what to read.
        rate_hz: frames per second, clipped to 1 to 60.
        node: its depth range and colours.
        on_frame: called after each frame.

    Raises:
        DataError: the bag is damaged, holds no such frame, or the film cannot be written.
    """
    written = 0
    rate = float(np.clip(rate_hz, *_RATES_HZ))
    with contextlib.ExitStack() as stack:
        film: Any = None
        for frame in read_frames(bag, replace(topics, truth="", uncertainty="", scan="")):
            if frame.image is None:
                continue
            if film is None:
                size = _panel(frame.image)
                film = stack.enter_context(_film(path, rate, Size(2 * size.width + _GAP, size.height)))
            film.write(np.ascontiguousarray(_side_by_side(frame, frame.image, size, node)[..., ::-1]))
            written += 1
            on_frame()
    if not written:
        raise DataError(bag.path, "no frame has both image and depth, so there is no film to write")
    return written


def _panel(image: Rgb) -> Size:
    """Return the size of one picture: even, as codecs need it, and two of them at most :data:`_WIDTH` wide."""
    height, width = image.shape[:2]
    scale = min(1.0, (_WIDTH - _GAP) / 2 / width)
    return Size(max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2))


def _side_by_side(frame: RecordedFrame, image: Rgb, size: Size, node: NodeConfig) -> Rgb:
    gap = np.zeros((size.height, _GAP, 3), np.uint8)
    return np.hstack([resized(image, size), gap, depth_picture(frame.depth, node, size)])


@contextlib.contextmanager
def _film(path: Path, rate_hz: float, size: Size) -> Iterator[Any]:
    """Open a writer of the film, which appears once it is complete."""
    with written_whole(path) as draft:
        writer = _open(draft, rate_hz, size)
        try:
            yield writer
        finally:
            writer.release()


def _open(path: Path, rate_hz: float, size: Size) -> Any:
    for codec in _CODECS:
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), rate_hz, size)
        if writer.isOpened():
            return writer
    raise DataError(f"OpenCV has no encoder of {' or '.join(_CODECS)}, so no film can be written here")
