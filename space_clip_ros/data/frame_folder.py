"""Folders of RGB-D pictures, of any camera: ``NAME.png`` or ``.jpg``, ``NAME_depth.png`` and ``NAME.json``.

The depth is uint16 metres * 256, 0 where unknown. The JSON describes the camera and what is in the picture; see
:func:`read_description`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from space_clip_ros.data.frames import RgbdFrame
from space_clip_ros.errors import DataError, InputError, listed
from space_clip_ros.files import reading, refuse_lfs_pointer
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import read_depth_png
from space_clip_ros.geometry.image_file import read_rgb
from space_clip_ros.training_config import SourceConfig

_PICTURES = (".png", ".jpg", ".jpeg")
_DEPTH = "_depth"
_MOST_NAMED = 40


class FrameDescription(NamedTuple):
    """What the JSON file of a frame says.

    Attributes:
        camera: the camera, at the picture's size.
        scene: the place that the picture shows; empty if not given.
        truth: where the depth comes from, such as ``lidar`` or ``stereo``; empty if not given.
        dataset: the data set that the frame was taken from; empty if not given.
    """

    camera: PinholeCamera
    scene: str
    truth: str
    dataset: str


@dataclass
class _Files:
    """The files found for one frame, and its description if that can be read."""

    stem: Path
    pictures: list[Path] = field(default_factory=list)
    depth: Path | None = None
    json: Path | None = None
    description: FrameDescription | None = None

    @property
    def scene(self) -> str:
        named = self.description.scene if self.description else ""
        return named or self.stem.parent.resolve().name


class FrameFolder:
    """The frames in a folder and all folders below it, sorted by path.

    A frame that lacks a file or has a broken one is listed too, so that the file check names it; reading it is an
    error. Hidden files and folders are left out, and so are files that are neither pictures nor JSON.

    Args:
        config: the folder (``path``), which frames of it (``scenes``, ``without_scenes``, ``truths``, and then
            ``frames`` and ``step``), and their weight.

    Attributes:
        weight: how often an epoch shows each frame, on average.

    Raises:
        DataError: the folder is missing or has no frames, a scene or kind of truth does not occur in it, or no
            frame is left.
    """

    def __init__(self, config: SourceConfig) -> None:
        """List the frames and read their descriptions."""
        self.weight = config.weight
        root = Path(config.path).expanduser()
        if not root.is_dir():
            raise DataError(root, "no such folder", "give a folder with NAME.png, NAME_depth.png and NAME.json")
        listed = list(_find_frames(root))
        if not listed:
            raise DataError(root, "holds no frames", "a frame is NAME.png or .jpg, NAME_depth.png and NAME.json")
        chosen = _chosen(listed, root, config)
        self._frames = chosen[config.chosen]
        if not self._frames:
            raise DataError(
                root,
                f"none of its {len(listed)} frames is left",
                "check scenes, without_scenes, truths and frames of this source",
            )

    classes: tuple[str, ...] = ()
    """Its frames have no labels."""

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def label(self, index: int) -> str:
        """Return the path that the names of the frame's files begin with."""
        return str(self._frames[index].stem)

    def scene(self, index: int) -> str:
        """Return the scene that the frame's JSON gives, or the name of the frame's folder."""
        return self._frames[index].scene

    def files(self, index: int) -> tuple[Path, ...]:
        """Return the picture, its depth and its JSON.

        Raises:
            DataError: one of them is missing, there are two pictures, or the JSON does not describe a camera.
        """
        files = self._frames[index]
        stem = files.stem
        present = ", ".join(path.name for path in (*files.pictures, files.depth, files.json) if path is not None)
        if not files.pictures:
            raise DataError(
                stem, f"has no picture ({stem.name}.png or .jpg) for {present}", "add it, or remove these files"
            )
        if len(files.pictures) > 1:
            raise DataError(stem, f"has {len(files.pictures)} pictures ({present})", "keep one")
        if files.depth is None:
            raise DataError(
                files.pictures[0], f"has no depth ({stem.name}{_DEPTH}.png) beside it", "add it, or remove the picture"
            )
        if files.json is None:
            raise DataError(
                files.pictures[0],
                f"has no {stem.name}.json beside it",
                "write its width, height, fx, fy, cx and cy there",
            )
        self._description(files, files.json)
        return files.pictures[0], files.depth, files.json

    def frame(self, index: int) -> RgbdFrame:
        """Read one frame.

        Raises:
            DataError: a file is missing or broken, or picture, depth and JSON differ in size; the error names it.
        """
        picture, depth_file, description = self.files(index)
        camera = self._description(self._frames[index], description).camera
        image, depth = read_rgb(picture), read_depth_png(depth_file, "kitti")
        for path, shape in ((picture, image.shape), (depth_file, depth.shape)):
            if shape[:2] != (camera.height, camera.width):
                raise DataError(
                    path,
                    f"is {shape[1]} x {shape[0]} pixels, but {description.name} says {camera.width} x {camera.height}",
                    "picture, depth and camera must have one size",
                )
        return RgbdFrame(image, depth, camera)

    @staticmethod
    def _description(files: _Files, path: Path) -> FrameDescription:
        return files.description or read_description(path)


def read_description(path: Path) -> FrameDescription:
    """Read the JSON of a frame.

    It must give ``width`` and ``height`` (pixels, whole numbers), ``fx``, ``fy`` (above 0) and ``cx``, ``cy``, in
    pixels of that size, with pixel centres at whole numbers. ``scene``, ``truth`` and ``dataset`` are text and may be
    left out.

    Raises:
        DataError: the file cannot be read, is not a JSON object, or a value is missing or impossible.
    """
    values = _read_object(path)
    width, height = (_whole(values, key, path) for key in ("width", "height"))
    try:
        camera = PinholeCamera(width, height, *(_number(values, key, path) for key in ("fx", "fy", "cx", "cy")))
    except InputError as error:
        raise DataError(path, error.reason or error.what, error.remedy) from error
    return FrameDescription(camera, *(_text(values, key, path) for key in ("scene", "truth", "dataset")))


def _read_object(path: Path) -> dict[str, Any]:
    refuse_lfs_pointer(path)
    try:
        with reading(path):
            values = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DataError(path, f"is not valid JSON ({error})") from error
    if not isinstance(values, dict):
        raise DataError(path, f"must hold an object with width, height, fx, fy, cx and cy, not {type(values).__name__}")
    return values


def _number(values: dict[str, Any], key: str, path: Path) -> float:
    if key not in values:
        raise DataError(path, f"has no {key!r}", "the camera needs width, height, fx, fy, cx and cy in pixels")
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        raise DataError(path, f"{key!r} must be a finite number of pixels, got {value!r}")
    return float(value)


def _whole(values: dict[str, Any], key: str, path: Path) -> int:
    value = _number(values, key, path)
    if value < 1 or value != int(value):
        raise DataError(path, f"{key!r} must be a whole number of pixels above 0, got {values[key]!r}")
    return int(value)


def _text(values: dict[str, Any], key: str, path: Path) -> str:
    value = values.get(key, "")
    if not isinstance(value, str):
        raise DataError(path, f"{key!r} must be text, got {value!r}")
    return value.strip()


def _find_frames(root: Path) -> Iterator[_Files]:
    """Yield the frames below a folder, sorted by path; a folder that several links reach is searched once."""
    seen: set[Path] = set()
    for name, folders, names in os.walk(root, followlinks=True):
        folder = Path(name)
        folders[:] = sorted(below for below in folders if not below.startswith("."))
        if folder.resolve() in seen:
            folders.clear()
            continue
        seen.add(folder.resolve())
        yield from _frames_of_folder(folder, names)


def _frames_of_folder(folder: Path, names: Iterable[str]) -> Iterator[_Files]:
    by_stem: dict[str, _Files] = {}
    for name in sorted(names):
        path = folder / name
        suffix = path.suffix.lower()
        if name.startswith(".") or suffix not in (*_PICTURES, ".json"):
            continue
        is_depth = suffix == ".png" and path.stem.endswith(_DEPTH)
        stem = path.stem.removesuffix(_DEPTH) if is_depth else path.stem
        files = by_stem.setdefault(stem, _Files(folder / stem))
        if is_depth:
            files.depth = path
        elif suffix == ".json":
            files.json = path
            files.description = _description_if_readable(path)
        else:
            files.pictures.append(path)
    for stem in sorted(by_stem):
        yield by_stem[stem]


def _description_if_readable(path: Path) -> FrameDescription | None:
    """Read a description; None if it is broken, which is reported when the frame is checked or read."""
    try:
        return read_description(path)
    except DataError:
        return None


def _chosen(listed: Sequence[_Files], root: Path, config: SourceConfig) -> list[_Files]:
    """Return the frames of the wanted scenes and kinds of truth.

    Frames without a readable description stay: they can never be used, so they must be reported whatever was chosen.
    """
    described = [files for files in listed if files.description]
    scenes = sorted({files.scene for files in described})
    truths = sorted({files.description.truth for files in described if files.description})
    for name in ("scenes", "without_scenes"):
        _check_known(root, name, "scene", getattr(config, name), scenes)
    _check_known(root, "truths", "truth", config.truths, truths)

    def wanted(files: _Files) -> bool:
        if files.description is None:
            return True
        return (
            (not config.scenes or _any_fits(config.scenes, files.scene))
            and not _any_fits(config.without_scenes, files.scene)
            and (not config.truths or _any_fits(config.truths, files.description.truth))
        )

    return [files for files in listed if wanted(files)]


def _any_fits(patterns: Iterable[str], name: str) -> bool:
    """Return whether a name matches one of the patterns; ``*`` stands for any text, and nothing else is special."""
    expressions = (".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    return any(re.fullmatch(expression, name, re.DOTALL) for expression in expressions)


def _check_known(root: Path, option: str, what: str, patterns: Iterable[str], names: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(_any_fits((pattern,), name) for name in names):
            known = listed([repr(name) for name in names], _MOST_NAMED)
            raise DataError(root, f"no frame has the {what} {pattern!r} ({option})", f"there are {known}")
