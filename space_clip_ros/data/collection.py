"""All frames of several sources as one sequence, optionally shrunk and kept in memory."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from space_clip_ros.data.augmentation import CropTransform, warp_depth, warp_labels, without_occluded
from space_clip_ros.data.cityscapes import CityscapesFrames
from space_clip_ros.data.frame_folder import FrameFolder
from space_clip_ros.data.frames import FrameSource, RgbdFrame, SkippedFrameError
from space_clip_ros.data.kitti_raw_frames import open_raw_drives
from space_clip_ros.data.listed_frames import ListedFrames, nyu_frames
from space_clip_ros.data.shards import ShardedFrames
from space_clip_ros.errors import DataError, SpaceClipError
from space_clip_ros.geometry.depth import from_kitti_png, to_kitti_png
from space_clip_ros.geometry.focal_factor import TrainingCamera, focal_factor
from space_clip_ros.training_config import SourceConfig

_LOG = logging.getLogger(__name__)
_READERS = 8
_NO_DEPTH = np.empty((0, 0), np.float32)


class FrameCollection:
    """A sequence of frames from several sources.

    Args:
        sources: the sources, in order.
        resolution: height and width that frames are shrunk to; empty to keep their size.
        skip_broken: log a broken frame, and raise :class:`~space_clip_ros.data.frames.SkippedFrameError` for it:
            evaluation leaves it out, and training takes the next one.
        training_camera: divide depth by each frame's focal factor relative to this camera; None for no change.
        occlusion: drop sparse depth behind near neighbours, as :func:`without_occluded` does; 0 keeps everything.

    Attributes:
        weights: how often an epoch shows each frame, on average.
    """

    def __init__(
        self,
        sources: Sequence[FrameSource],
        resolution: tuple[int, ...] = (),
        skip_broken: bool = False,
        occlusion: float = 0.0,
        training_camera: TrainingCamera | None = None,
    ) -> None:
        """List the frames; nothing is read yet."""
        self._items = [(source, index) for source in sources for index in range(len(source))]
        self._resolution = resolution
        self._skip_broken = skip_broken
        self._occlusion = occlusion
        self._training_camera = training_camera
        self._cached: dict[int, tuple[RgbdFrame, NDArray[np.uint16]]] = {}

    @property
    def weights(self) -> list[float]:
        """How often an epoch shows each frame, on average."""
        return [source.weight for source, _ in self._items]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._items)

    def __getitem__(self, index: int) -> RgbdFrame:
        """Return one frame.

        Raises:
            DataError: it cannot be read; the error names frame and file.
            SkippedFrameError: likewise, with ``skip_broken``.
        """
        if index in self._cached:
            frame, depth = self._cached[index]
            return frame._replace(depth=from_kitti_png(depth))
        return self._read(index)

    def label(self, index: int) -> str:
        """Return a name that tells a person which frame it is."""
        source, local = self._items[index]
        return source.label(local)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the frames' labels, by their numbers; empty if no source reads labels.

        Raises:
            DataError: two sources number their classes differently.
        """
        named = {source.classes for source, _ in self._items if source.classes}
        if len(named) > 1:
            raise DataError("labels", "the sources read different classes", "give every source the same labels")
        return named.pop() if named else ()

    def scene(self, index: int) -> str:
        """Return the name of the place that a frame shows, or of the drive or folder that it is from."""
        source, local = self._items[index]
        return source.scene(local)

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the files that one frame is read from."""
        source, local = self._items[index]
        return source.files(local)

    def without(self, indices: Sequence[int]) -> FrameCollection:
        """Return a collection that lacks the frames with these indices."""
        dropped = set(indices)
        smaller = FrameCollection((), self._resolution, self._skip_broken, self._occlusion, self._training_camera)
        smaller._items = [item for index, item in enumerate(self._items) if index not in dropped]
        return smaller

    def keep_in_memory(self, on_frame: Callable[[], None]) -> None:
        """Read all frames into memory, where worker processes that are forked later share them.

        Frames that are skipped stay out. Depth is kept as uint16 metres * 256, which loses up to 4 mm.

        Args:
            on_frame: called after each frame.

        Raises:
            DataError: a frame cannot be read, as in indexing.
        """
        cached = {}
        with ThreadPoolExecutor(_READERS) as pool:
            for index, frame in enumerate(pool.map(self._read_or_skip, range(len(self)))):
                if frame is not None:
                    cached[index] = (frame._replace(depth=_NO_DEPTH), to_kitti_png(frame.depth))
                on_frame()
        self._cached = cached

    def _read_or_skip(self, index: int) -> RgbdFrame | None:
        with contextlib.suppress(SkippedFrameError):
            return self._read(index)
        return None

    def _read(self, index: int) -> RgbdFrame:
        source, local = self._items[index]
        try:
            frame = source.frame(local)
        except SpaceClipError as error:
            label, reason = source.label(local), str(error)
            if not self._skip_broken:
                raise DataError(label, reason, "repair the file, or set data.skip_broken=true") from error
            _LOG.warning("skipped %s: %s", label, reason)
            raise SkippedFrameError(label, reason) from error
        return self._prepared(frame)

    def _prepared(self, frame: RgbdFrame) -> RgbdFrame:
        frame = shrink(frame, self._resolution) if self._resolution else frame
        depth = without_occluded(frame.depth, self._occlusion) if self._occlusion else frame.depth
        if self._training_camera is not None and frame.camera is not None:
            depth = depth / np.float32(focal_factor(frame.camera, self._training_camera))
        return frame._replace(depth=depth)


def open_sources(configs: Sequence[SourceConfig]) -> list[FrameSource]:
    """Open the sources that the settings name.

    Raises:
        DataError: a folder or list is missing or empty.
    """
    return [source for config in configs for source in _open(config)]


def shrink(frame: RgbdFrame, resolution: tuple[int, ...]) -> RgbdFrame:
    """Shrink a frame to ``resolution`` (height, width): average the image, keep the nearest depths, pick classes."""
    height, width = resolution
    if frame.depth.shape == (height, width):
        return frame
    image = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
    whole = CropTransform(np.eye(2, 3), 1.0, (frame.depth.shape[0], frame.depth.shape[1]))
    camera = None if frame.camera is None else frame.camera.resized(width, height)
    labels = None if frame.labels is None else warp_labels(frame.labels, whole, resolution)
    return RgbdFrame(np.asarray(image, np.uint8), warp_depth(frame.depth, whole, resolution), camera, labels)


def _open(config: SourceConfig) -> Sequence[FrameSource]:
    if config.kind == "kitti_raw":
        return open_raw_drives(config)
    if config.kind == "frames":
        return [FrameFolder(config)]
    if config.kind == "cityscapes":
        return [CityscapesFrames(config)]
    if config.kind == "shards":
        return [ShardedFrames(config)]
    root = Path(config.path).expanduser()
    depth_root = Path(config.depth_path or config.path).expanduser()
    file_list = Path(config.file_list).expanduser()
    if config.kind == "nyu_list":
        return [nyu_frames(file_list, root, depth_root, config.weight, config.chosen)]
    return [ListedFrames(file_list, root, depth_root, weight=config.weight, chosen=config.chosen)]
