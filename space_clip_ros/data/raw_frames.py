"""Frames of KITTI raw drives that have depth: annotated, or their scan projected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from space_clip_ros.data.eigen import belongs
from space_clip_ros.data.frames import Frame
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError
from space_clip_ros.training_config import SourceConfig


class RawFrames:
    """The frames with depth of one drive.

    Args:
        drive: the drive.
        config: which frames, which depth.

    Attributes:
        without_depth: number of frames left out because the drive has no depth for them.

    Raises:
        DataError: no frame of the drive has the depth asked for.
    """

    def __init__(self, drive: KittiDrive, config: SourceConfig) -> None:
        """Find the frames that have depth."""
        self.weight = config.weight
        self._drive = drive
        chosen = range(len(drive))[slice(*config.frames) if config.frames else slice(None)][:: config.step]
        annotated = [index for index in chosen if drive.has_ground_truth(index, annotated=True)]
        self._annotated = config.truth == "annotated" or (config.truth == "auto" and bool(annotated))
        scanned = (index for index in chosen if drive.has_ground_truth(index))
        self._indices = annotated if self._annotated else list(scanned)
        self.without_depth = len(chosen) - len(self._indices)
        if not self._indices:
            raise DataError(f"{drive.path}: none of its {len(chosen)} frames asked for has depth ({config.truth})")

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._indices)

    def label(self, index: int) -> str:
        """Return the drive's name and the frame's number."""
        return f"{self._drive.name}/{self._drive.frame_ids[self._indices[index]]:010d}"

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the image and its scan or annotated depth."""
        number = f"{self._drive.frame_ids[self._indices[index]]:010d}"
        truth = (
            Path("proj_depth", "groundtruth", "image_02", f"{number}.png")
            if self._annotated
            else Path("velodyne_points", "data", f"{number}.bin")
        )
        return self._drive.path / "image_02" / "data" / f"{number}.png", self._drive.path / truth

    def frame(self, index: int) -> Frame:
        """Read one frame.

        Raises:
            DataError: a file is damaged; the message names it.
        """
        number = self._indices[index]
        return Frame(self._drive.image(number), self._drive.ground_truth(number, self._annotated))


def raw_sources(config: SourceConfig) -> list[RawFrames]:
    """Return one source for each drive at or below ``config.path`` that belongs to the split.

    Raises:
        DataError: there is no such drive, or one cannot be read.
    """
    root = Path(config.path)
    drives = [drive for drive in find_drives(root) if belongs(drive.name, config.split)]
    if not drives:
        raise DataError(f"{root}: holds no KITTI raw drive (…_sync with image_02) of split {config.split}")
    return [RawFrames(KittiDrive(drive, annotated_root=config.depth_path or None), config) for drive in drives]


def find_drives(root: Path) -> Iterator[Path]:
    """Yield the drive folders at, one or two levels below ``root``, in order of their paths."""
    for pattern in (".", "*", "*/*"):
        found = sorted(folder.parent for folder in root.glob(f"{pattern}/image_02") if folder.is_dir())
        if found:
            yield from found
            return
