"""The frames of the published KITTI and NYU Depth V2 splits, as tables in ``splits/``.

A line of a table names a drive or scene and its frames, in ascending order: numbers and ranges (``5``, ``5-102``,
``6-63:3`` for every third from 6 to 63), or one bit per frame as hexadecimal digits after an ``x``, frame 0 first.
Frames after an exclamation mark have no annotated depth.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from space_clip_ros.data.file_lists import ListedSample, kitti_sample, read_file_list
from space_clip_ros.errors import InputError
from space_clip_ros.training_config import PUBLISHED_LISTS

NYU_FOCAL = 518.8579
"""Focal length of NYU's colour camera in pixels, from the data set's toolbox (Silberman et al., ECCV 2012)."""

_TABLES = Path(__file__).with_name("splits")


class PublishedFrames(NamedTuple):
    """The frames of one drive or scene, by number, ascending.

    Attributes:
        with_depth: frames that can be trained and evaluated on.
        without_depth: frames of the published list that have no annotated depth.
    """

    with_depth: tuple[int, ...]
    without_depth: tuple[int, ...] = ()

    @property
    def every(self) -> tuple[int, ...]:
        """All frames of the published list."""
        return self.with_depth + self.without_depth


@functools.cache
def published_frames(name: str) -> Mapping[str, PublishedFrames]:
    """Return the frames of a published list by drive (``<date>_drive_NNNN_sync``) or scene, in alphabetical order.

    Raises:
        InputError: no such list; the error names the known ones.
    """
    if name not in PUBLISHED_LISTS:
        raise InputError(f"the published lists are {', '.join(PUBLISHED_LISTS)}, not {name!r}")
    lines = (_TABLES / f"{name}.txt").read_text(encoding="ascii").splitlines()
    entries = (line.partition(" ") for line in lines if not line.startswith("#"))
    return {scene: _parse(frames) for scene, _, frames in entries}


def published_samples(name: str) -> list[ListedSample]:
    """Return the frames of a published list that have depth; ``line`` counts them from 1.

    Paths are relative to the root of KITTI raw and of its annotated depth, or to the folder of NYU's scenes.

    Raises:
        InputError: no such list.
    """
    frames = (
        (scene, frame) for scene, scene_frames in published_frames(name).items() for frame in scene_frames.with_depth
    )
    if PUBLISHED_LISTS[name] == "nyu_list":
        return [_nyu_sample(scene, frame, line) for line, (scene, frame) in enumerate(frames, start=1)]
    return [kitti_sample(drive, "02", frame, line) for line, (drive, frame) in enumerate(frames, start=1)]


def read_samples(file_list: Path) -> list[ListedSample]:
    """Return the samples of a published list by its name, or of a file list by its path.

    Raises:
        DataError: the file cannot be read as a list.
    """
    return published_samples(str(file_list)) if str(file_list) in PUBLISHED_LISTS else read_file_list(file_list)


def _nyu_sample(scene: str, frame: int, line: int) -> ListedSample:
    return ListedSample(f"{scene}/rgb_{frame:05d}.jpg", f"{scene}/sync_depth_{frame:05d}.png", NYU_FOCAL, line)


def _parse(frames: str) -> PublishedFrames:
    with_depth, _, without = frames.partition(" !")
    return PublishedFrames(tuple(_numbers(with_depth)), tuple(_numbers(without)))


def _numbers(terms: str) -> Iterator[int]:
    if terms.startswith("x"):
        bits = "".join(f"{int(digit, 16):04b}" for digit in terms[1:])
        yield from (frame for frame, bit in enumerate(bits) if bit == "1")
        return
    for term in terms.split(",") if terms else ():
        ends, _, step = term.partition(":")
        first, _, last = ends.partition("-")
        yield from range(int(first), int(last or first) + 1, int(step or 1))
