"""Frames named by a file list, of KITTI or of NYU Depth V2."""

from __future__ import annotations

import logging
from pathlib import Path

from space_clip_ros.data.file_lists import ListedSample
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.kitti_files import ANNOTATED_FOLDERS, PICTURE_SUFFIXES, is_drive_name
from space_clip_ros.data.published_lists import read_samples
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.depth import read_depth_png
from space_clip_ros.geometry.image_file import read_rgb

_LOG = logging.getLogger(__name__)


class ListedFrames:
    """The frames of one file list.

    Pictures may have been converted: where the listed one is missing, one of the same name with another suffix is
    taken. Annotated depth may lie in ``train`` and ``val``, which the lists leave out. Where a list names no depth,
    frames without annotated depth are left out with a warning; KITTI has none of a drive's first and last five frames.

    Args:
        file_list: the list, as :func:`~space_clip_ros.data.file_lists.read_file_list` reads it, or a published list's
            name.
        image_root: folder that the image paths are relative to.
        depth_root: folder that the depth paths are relative to.
        depth_format: ``kitti`` (metres * 256) or ``mm`` (millimetres), both uint16 PNG.
        weight: how often an epoch shows each frame, on average.
        chosen: which to take of the frames that have depth.

    Raises:
        DataError: the list cannot be read, is KITTI's but depth is read as millimetres, none of its frames has
            annotated depth although the list names no other, or none is chosen.
    """

    def __init__(
        self,
        file_list: Path,
        image_root: Path,
        depth_root: Path,
        depth_format: str = "kitti",
        weight: float = 1.0,
        chosen: slice = slice(None),
    ) -> None:
        """Read the list."""
        self.weight = weight
        self._list = file_list
        self._image_root = image_root
        self._depth_root = depth_root
        self._format = depth_format
        samples = self._with_depth(read_samples(file_list))
        self._samples = samples[chosen]
        if not self._samples:
            raise DataError(file_list, f"none of its {len(samples)} frames is left", "check frames of this source")

    classes: tuple[str, ...] = ()
    """Its frames have no labels."""

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._samples)

    def label(self, index: int) -> str:
        """Return the list's path, the line and the image's path as the list has it."""
        return f"{self._list}, line {self._samples[index].line} ({self._samples[index].image})"

    def scene(self, index: int) -> str:
        """Return KITTI's name of the drive, or the folder of the picture, as the list has them."""
        path = Path(self._samples[index].image)
        folder = path.parent.as_posix() if path.parent.name else self._image_root.resolve().name
        return next((part for part in path.parts if is_drive_name(part)), folder)

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the image's and the depth's file."""
        sample = self._samples[index]
        image = self._image_root / sample.image
        pictures = (image, *(image.with_suffix(suffix) for suffix in PICTURE_SUFFIXES))
        return _first_file(*pictures), self._depth_file(sample)

    def frame(self, index: int) -> RgbdFrame:
        """Read one frame.

        Raises:
            DataError: a file is missing or broken, or image and depth differ in size.
        """
        image_path, depth_path = self.files(index)
        frame = RgbdFrame(read_rgb(image_path), read_depth_png(depth_path, format=self._format))
        if frame.image.shape[:2] != frame.depth.shape:
            raise DataError(
                depth_path,
                f"depth of {frame.depth.shape[1]} x {frame.depth.shape[0]} pixels for an image of "
                f"{frame.image.shape[1]} x {frame.image.shape[0]}",
                "correct the pair in the file list",
            )
        return frame

    def _depth_file(self, sample: ListedSample) -> Path:
        return _first_file(*(self._depth_root / folder / sample.depth for folder in ANNOTATED_FOLDERS))

    def _with_depth(self, samples: list[ListedSample]) -> list[ListedSample]:
        """Return the samples whose depth is named by the list, or that have annotated depth."""
        for sample in samples:
            if self._format != "kitti" and (not sample.names_depth or "/proj_depth/" in sample.depth):
                where = f"{self._list}, line {sample.line}"
                raise DataError(
                    where, "is a frame of KITTI, whose depth is not in millimetres", "set kind to kitti_list"
                )
        kept = [sample for sample in samples if sample.names_depth or self._depth_file(sample).is_file()]
        if not kept:
            raise DataError(
                self._list,
                f"none of its {len(samples)} frames has annotated depth (looked for {samples[0].depth})",
                f"set depth_path to where data_depth_annotated was unpacked; it is {self._depth_root}",
            )
        if len(kept) < len(samples):
            left_out = len(samples) - len(kept)
            _LOG.warning("%s: %d of %d frames have no annotated depth", self._list, left_out, len(samples))
        return kept


def _first_file(*paths: Path) -> Path:
    """Return the first of the files that exists, or the first of all."""
    return next((path for path in paths if path.is_file()), paths[0])


def nyu_frames(
    file_list: Path, image_root: Path, depth_root: Path, weight: float = 1.0, chosen: slice = slice(None)
) -> ListedFrames:
    """Return the frames of a list of NYU Depth V2, whose depth PNGs are uint16 millimetres.

    The pictures are ``<root>/<scene>/rgb_00000.jpg``, their depth ``sync_depth_00000.png`` beside them.

    Raises:
        DataError: the list cannot be read, or no frame is chosen.
    """
    return ListedFrames(file_list, image_root, depth_root, "mm", weight, chosen)
