"""The frames of KITTI raw drives that have true depth: annotated, or the projected laser scan."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from space_clip_ros.data.eigen_split import in_split
from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.data.kitti_files import drive_name, find_drives, is_drive_name
from space_clip_ros.data.labels import LABEL_NAMES, LabelReader
from space_clip_ros.data.published_lists import PublishedFrames, published_frames
from space_clip_ros.errors import DataError
from space_clip_ros.training_config import SourceConfig

_LOG = logging.getLogger(__name__)
FARTHEST_M = 255.0
"""Depth that stands for the sky, metres; KITTI's PNGs hold up to 256."""


class KittiRawFrames:
    """The frames of one drive that have depth.

    Args:
        drive: the drive.
        config: which frames, and which depth.
        listed: the drive's frames in a published list, the only ones to take; None to take all.

    Attributes:
        weight: how often an epoch shows each frame, on average.
        without_picture: number of listed frames that have no picture.
        without_truth: number of chosen frames that have a picture, but not the requested depth.

    Raises:
        DataError: no frame of the drive has the requested depth.
    """

    def __init__(self, drive: KittiDrive, config: SourceConfig, listed: PublishedFrames | None = None) -> None:
        """List the frames that have depth."""
        self.weight = config.weight
        self._drive = drive
        self._unknown_is_far = config.unknown == "far"
        self._labels = LabelReader(config.labels, LABEL_NAMES) if config.labels else None
        numbers = None if listed is None else set(listed.every)
        every = [index for index in range(len(drive)) if numbers is None or drive.frame_ids[index] in numbers]
        chosen = every[config.chosen]
        annotated = [index for index in chosen if drive.has_ground_truth(index, annotated=True)]
        self._annotated = config.truth == "annotated" or (config.truth == "auto" and bool(annotated))
        scanned = (index for index in chosen if drive.has_ground_truth(index))
        self._indices = annotated if self._annotated else list(scanned)
        self.without_picture = len(numbers or every) - len(every)
        self.without_truth = len(chosen) - len(self._indices)
        if not self._indices:
            raise DataError(
                drive.path,
                f"none of its {len(chosen)} requested frames has depth ({config.truth})",
                "set the source's truth to auto, or its depth_path to the annotated depth, or choose other frames",
            )

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._indices)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the frames' labels; empty if the settings ask for none."""
        return () if self._labels is None else self._labels.names

    def label(self, index: int) -> str:
        """Return the drive's name and the frame's number."""
        return f"{self._drive.name}/{self._drive.frame_ids[self._indices[index]]:010d}"

    def scene(self, index: int) -> str:
        """Return the drive's name."""
        return self._drive.name

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the image, its scan or annotated depth, and its label map if that is read."""
        number = self._indices[index]
        labels = () if self._labels is None else (self._drive.label_file(number),)
        return self._drive.image_file(number), self._drive.ground_truth_file(number, self._annotated), *labels

    def frame(self, index: int) -> RgbdFrame:
        """Read one frame.

        Raises:
            DataError: a file is damaged; the error names it.
        """
        number = self._indices[index]
        image, depth = self._drive.image(number), self._drive.ground_truth(number, self._annotated)
        if self._unknown_is_far:
            depth = np.nan_to_num(depth, nan=FARTHEST_M)
        labels = None if self._labels is None else self._labels.read(self._drive.label_file(number), depth.shape)
        return RgbdFrame(image, depth, self._drive.camera, labels)


def open_raw_drives(config: SourceConfig) -> list[KittiRawFrames]:
    """Return the frames of each drive at or below ``config.path`` that belongs to the split.

    Raises:
        DataError: there is no such drive, one cannot be read, or the split of one is not known.
    """
    root = Path(config.path).expanduser()
    if not root.exists():
        raise DataError(
            root, "no such folder", "give the path of KITTI raw drives; 'space_clip download kitti' fetches some"
        )
    drives = {drive: drive_name(drive) for drive in find_drives(root) if _in_split(drive, config.split)}
    listed: Mapping[str, PublishedFrames] = published_frames(config.file_list) if config.file_list else {}
    if listed:
        drives = {drive: name for drive, name in drives.items() if name in listed}
        missing = listed.keys() - drives.values()
        if drives and missing:
            _LOG.warning("%s: %d of %d drives of %s are missing", root, len(missing), len(listed), config.file_list)
    if not drives:
        what = config.file_list or f"split {config.split}"
        raise DataError(
            root,
            f"holds no KITTI raw drive (…_sync with image_02) of {what}",
            "give a drive's folder or one above it; 'space_clip download kitti' fetches drives",
        )
    annotated = config.depth_path or None
    opened = [
        KittiRawFrames(KittiDrive(drive, annotated_root=annotated), config, listed.get(name))
        for drive, name in drives.items()
    ]
    if config.file_list:
        _warn_of_missing(root, config, opened, sum(len(listed[name].every) for name in drives.values()))
    return opened


def _warn_of_missing(root: Path, config: SourceConfig, opened: list[KittiRawFrames], wanted: int) -> None:
    """Warn of frames that the list wants from the drives that are there, but that cannot be used."""
    for what, missing in (
        ("picture", sum(drive.without_picture for drive in opened)),
        (f"depth ({config.truth})", sum(drive.without_truth for drive in opened)),
    ):
        if missing:
            text = "%s: %d of the %d frames of %s in these drives have no %s"
            _LOG.warning(text, root, missing, wanted, config.file_list, what)


def _in_split(drive: Path, split: str) -> bool:
    name = drive_name(drive)
    if split != "all" and not is_drive_name(name):
        raise DataError(
            drive,
            f"is not named like a KITTI drive, so it is unknown whether it belongs to split {split}",
            "name it <date>_drive_NNNN_sync, or set split to all",
        )
    return in_split(name, split)
