"""Frames named by a file list, of KITTI or of NYU Depth V2."""

from __future__ import annotations

from pathlib import Path

from space_clip_ros.data.file_lists import read_file_list
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.depth import read_depth_png
from space_clip_ros.geometry.image_file import read_rgb


class ListedFrames:
    """The frames of one file list.

    Args:
        file_list: the list, as :func:`~space_clip_ros.data.file_lists.read_file_list` reads it.
        image_root: folder that the image paths are relative to.
        depth_root: folder that the depth paths are relative to.
        depth_format: ``kitti`` (metres * 256) or ``mm`` (millimetres), both uint16 PNG.
        weight: how often an epoch shows each frame, on average.

    Raises:
        DataError: the list cannot be read.
    """

    def __init__(
        self, file_list: Path, image_root: Path, depth_root: Path, depth_format: str = "kitti", weight: float = 1.0
    ) -> None:
        """Read the list."""
        self.weight = weight
        self._list = file_list
        self._image_root = image_root
        self._depth_root = depth_root
        self._format = depth_format
        self._samples = read_file_list(file_list)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._samples)

    def label(self, index: int) -> str:
        """Return the list's path, the line and the image's path as the list has it."""
        return f"{self._list}, line {self._samples[index].line} ({self._samples[index].image})"

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the image's and the depth's file."""
        sample = self._samples[index]
        return self._image_root / sample.image, self._depth_root / sample.depth

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
            )
        return frame


def nyu_frames(file_list: Path, image_root: Path, depth_root: Path, weight: float = 1.0) -> ListedFrames:
    """Return the frames of a list of NYU Depth V2, whose depth PNGs are uint16 millimetres.

    The pictures are ``<root>/<scene>/rgb_00000.jpg``, their depth ``sync_depth_00000.png`` beside them.

    Raises:
        DataError: the list cannot be read.
    """
    return ListedFrames(file_list, image_root, depth_root, "mm", weight)
