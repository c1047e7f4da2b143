"""Compares the frames on disk with those that a run's sources should have, and names the missing files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from space_clip_ros.data.collection import open_sources
from space_clip_ros.data.file_check import check_file
from space_clip_ros.data.frames import FrameSource
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.data.kitti_files import drive_name, find_drives
from space_clip_ros.data.published_lists import published_frames
from space_clip_ros.errors import DataError, SpaceClipError
from space_clip_ros.training_config import PUBLISHED_LISTS, SourceConfig

_READERS = 16
_PART = 64


class MissingFile(NamedTuple):
    """A file that cannot be used, and why; the drive's folder if the whole drive is missing."""

    path: str
    reason: str


@dataclass(frozen=True)
class SceneCheck:
    """The frames of one drive or scene.

    Attributes:
        name: KITTI's name of the drive, or the scene's.
        wanted: number of frames that it should have.
        present: number of frames whose files are all present and complete.
        missing: the missing or broken files of the other frames.
    """

    name: str
    wanted: int
    present: int
    missing: tuple[MissingFile, ...]


@dataclass(frozen=True)
class SourceCheck:
    """The frames of one source.

    Attributes:
        where: place of the source in the settings, such as ``data.train[0]``.
        frames: the list or split that it was counted against; empty if it has none.
        path: folder that it reads.
        without_depth: number of frames of the published list that have no annotated depth; ``wanted`` excludes them.
        scenes: its drives or scenes, in alphabetical order.
        problem: why it cannot be opened at all; empty if it can.
    """

    where: str
    frames: str
    path: str
    without_depth: int
    scenes: tuple[SceneCheck, ...]
    problem: str = ""

    @property
    def wanted(self) -> int:
        """Number of frames that it should have."""
        return sum(scene.wanted for scene in self.scenes)

    @property
    def present(self) -> int:
        """Number of frames that can be used."""
        return sum(scene.present for scene in self.scenes)

    @property
    def complete(self) -> bool:
        """Whether every frame can be used."""
        return not self.problem and 0 < self.wanted == self.present

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types for JSON."""
        counts = {"complete": self.complete, "wanted": self.wanted, "present": self.present}
        values = asdict(self)
        for scene in values["scenes"]:
            scene["missing"] = [entry._asdict() for entry in scene["missing"]]
        return {**counts, **values}


class _Frame(NamedTuple):
    """An expected frame: its drive or scene, and a function that returns its files."""

    scene: str
    files: Callable[[], tuple[Path, ...]]


def check_source(where: str, config: SourceConfig, on_frame: Callable[[int, int], None]) -> SourceCheck:
    """Look for every file of every frame that a source should have.

    Lists are counted by their lines. Drives of KITTI raw are counted against the published list that ``file_list`` or
    ``split`` names. Other sources have no list: their frames are those found, and only broken ones are missing.

    Args:
        where: place of the source in the settings.
        config: the source.
        on_frame: called after every few frames with (frames checked, total frames).
    """
    split = config.split if config.kind == "kitti_raw" and config.split != "all" else ""
    name = config.file_list or split
    frames: Sequence[_Frame]
    without_depth = 0
    try:
        if name in PUBLISHED_LISTS:
            without_depth = sum(len(published.without_depth) for published in published_frames(name).values())
        if config.kind == "kitti_raw" and name:
            frames = list(_raw_frames(config, name))
        else:
            frames = [frame for source in open_sources([config]) for frame in _frames(source)]
    except SpaceClipError as error:
        return SourceCheck(where, name, config.path, without_depth, (), str(error))
    scenes = tuple(_by_scene(frames, _missing_files(frames, on_frame)))
    return SourceCheck(where, name, config.path, without_depth, scenes)


def _frames(source: FrameSource) -> Iterator[_Frame]:
    for index in range(len(source)):
        yield _Frame(source.scene(index), partial(source.files, index))


def _raw_frames(config: SourceConfig, name: str) -> Iterator[_Frame]:
    """Yield the frames of a published list, wherever its drives lie below the root."""
    root = Path(config.path).expanduser()
    drives = {drive_name(path): path for path in find_drives(root)} if root.is_dir() else {}
    for name_of_drive, listed in published_frames(name).items():
        path = drives.get(name_of_drive, root / name_of_drive[:10] / name_of_drive)
        files = _raw_files(path, config)
        for number in listed.with_depth:
            yield _Frame(name_of_drive, partial(files, number))


def _raw_files(path: Path, config: SourceConfig) -> Callable[[int], tuple[Path, ...]]:
    """Return a function that maps a frame number of the drive to that frame's files."""
    try:
        drive = KittiDrive(path, annotated_root=config.depth_path or None)
    except DataError as error:
        return partial(_fail, error)
    indices = {number: index for index, number in enumerate(drive.frame_ids)}
    any_annotated = any(drive.has_ground_truth(index, annotated=True) for index in indices.values())
    annotated = config.truth == "annotated" or (config.truth == "auto" and any_annotated)

    def files(number: int) -> tuple[Path, ...]:
        if number not in indices:
            return (drive.path / "image_02" / "data" / f"{number:010d}.png",)
        return drive.image_file(indices[number]), drive.ground_truth_file(indices[number], annotated)

    return files


def _fail(error: DataError, number: int) -> tuple[Path, ...]:
    raise error


def _missing_files(frames: Sequence[_Frame], on_frame: Callable[[int, int], None]) -> Iterator[tuple[MissingFile, ...]]:
    parts = [frames[start : start + _PART] for start in range(0, len(frames), _PART)]
    done = 0
    with ThreadPoolExecutor(_READERS) as pool:
        for part in pool.map(lambda part: [tuple(_missing(frame)) for frame in part], parts):
            yield from part
            done += len(part)
            on_frame(done, len(frames))


def _missing(frame: _Frame) -> Iterator[MissingFile]:
    try:
        paths = frame.files()
    except DataError as error:
        yield MissingFile(error.what, error.reason)
        return
    for path in paths:
        if not path.exists():
            yield MissingFile(str(path), "missing")
            continue
        try:
            check_file(path)
        except DataError as error:
            yield MissingFile(error.what, error.reason)


def _by_scene(frames: Sequence[_Frame], missing: Iterable[tuple[MissingFile, ...]]) -> Iterator[SceneCheck]:
    scenes: dict[str, list[tuple[MissingFile, ...]]] = {}
    for frame, lacks in zip(frames, missing, strict=True):
        scenes.setdefault(frame.scene, []).append(lacks)
    for name, lacking in sorted(scenes.items()):
        files = dict.fromkeys(file for lacks in lacking for file in lacks)
        yield SceneCheck(name, len(lacking), sum(not lacks for lacks in lacking), tuple(files))
