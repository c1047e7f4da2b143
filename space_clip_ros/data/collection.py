"""All the frames of several sources as one sequence, shrunk and kept in memory where asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.augmentation import Placement, move_depth
from space_clip_ros.data.frames import Frame, FrameSource
from space_clip_ros.data.listed_frames import ListedFrames
from space_clip_ros.data.nyu import nyu_frames
from space_clip_ros.data.raw_frames import raw_sources
from space_clip_ros.errors import DataError, SpaceClipError
from space_clip_ros.geometry.depth import from_kitti_png, to_kitti_png
from space_clip_ros.training_config import SourceConfig

_LOG = logging.getLogger(__name__)
_READERS = 8


class FrameCollection:
    """A sequence of frames from several sources.

    Args:
        sources: the sources, in order.
        resolution: height and width that frames are shrunk to; empty for their own size.
        skip_broken: give the next readable frame in place of a broken one, and log it, instead of raising.

    Attributes:
        weights: how often an epoch shows each frame.
    """

    def __init__(
        self, sources: Sequence[FrameSource], resolution: tuple[int, ...] = (), skip_broken: bool = False
    ) -> None:
        """List the frames; nothing is read yet."""
        self._items = [(source, index) for source in sources for index in range(len(source))]
        self._resolution = resolution
        self._skip_broken = skip_broken
        self._cached: list[tuple[NDArray[np.uint8], NDArray[np.uint16]]] = []

    @property
    def weights(self) -> list[float]:
        """How often an epoch shows each frame, on average."""
        return [source.weight for source, _ in self._items]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._items)

    def __getitem__(self, index: int) -> Frame:
        """Return one frame.

        Raises:
            DataError: it cannot be read, or, with ``skip_broken``, no frame can; the message names frame and file.
        """
        if self._cached:
            image, depth = self._cached[index]
            return Frame(image, from_kitti_png(depth))
        return self._read(index)

    def label(self, index: int) -> str:
        """Return a name by which a person finds the frame."""
        source, own = self._items[index]
        return source.label(own)

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the files that the frame is read from."""
        source, own = self._items[index]
        return source.files(own)

    def without(self, broken: Sequence[int]) -> FrameCollection:
        """Return the collection without some frames."""
        left_out = set(broken)
        smaller = FrameCollection((), self._resolution, self._skip_broken)
        smaller._items = [item for index, item in enumerate(self._items) if index not in left_out]
        return smaller

    def keep_in_memory(self, on_frame: Callable[[], None]) -> None:
        """Read everything once; reading processes that are forked later share it.

        Depth is kept as uint16 metres * 256, so it is coarser by up to 4 mm.

        Raises:
            DataError: as indexing.
        """
        cached = []
        with ThreadPoolExecutor(_READERS) as pool:
            for frame in pool.map(self._read, range(len(self))):
                cached.append((frame.image, to_kitti_png(frame.depth)))
                on_frame()
        self._cached = cached

    def _read(self, index: int) -> Frame:
        failure = ""
        for candidate in self._candidates(index):
            source, own = self._items[candidate]
            try:
                frame = source.frame(own)
            except SpaceClipError as error:
                failure = f"{source.label(own)}: {error}"
                if not self._skip_broken:
                    raise DataError(failure) from error
                _LOG.warning("left out %s", failure)
            else:
                return shrink(frame, self._resolution) if self._resolution else frame
        raise DataError(f"no frame can be read; the last one tried is {failure}")

    def _candidates(self, index: int) -> Iterator[int]:
        yield index
        if self._skip_broken:
            yield from ((index + step) % len(self) for step in range(1, len(self)))


def open_sources(configs: Sequence[SourceConfig]) -> list[FrameSource]:
    """Return the sources that the settings name.

    Raises:
        DataError: a folder or list is missing or empty.
    """
    return [source for config in configs for source in _open(config)]


def shrink(frame: Frame, resolution: tuple[int, ...]) -> Frame:
    """Return a frame of ``resolution`` (height, width); image averaged over areas, depth by its nearest returns."""
    height, width = resolution
    if frame.depth.shape == (height, width):
        return frame
    image = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
    whole = Placement(np.eye(2, 3), 1.0, (frame.depth.shape[0], frame.depth.shape[1]))
    return Frame(np.asarray(image, np.uint8), move_depth(frame.depth, whole, resolution))


def _open(config: SourceConfig) -> Sequence[FrameSource]:
    if config.kind == "kitti_raw":
        return raw_sources(config)
    root = Path(config.path)
    depth_root = Path(config.depth_path or config.path)
    if config.kind == "nyu_list":
        return [nyu_frames(Path(config.file_list), root, depth_root, config.weight)]
    return [ListedFrames(Path(config.file_list), root, depth_root, weight=config.weight)]
