"""The images that a command line names, one by one or by their folder, and what their results are called."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from space_clip_ros.data.frame_folder import read_description
from space_clip_ros.errors import DataError, InputError, listed
from space_clip_ros.files import reading

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

DEPTH, COLOR, CLOUD = "_depth.png", "_color.png", ".ply"
"""How the files of an image's results end, after its name."""
_BAG_SUFFIXES = (".mcap", ".db3", ".bag", ".zstd")
_FILM_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".gif")
_MOST_NAMED = 8


class NamedImage(NamedTuple):
    """An image and the name that its results begin with."""

    file: Path
    name: str


def result_file(stem: Path, ending: str) -> Path:
    """Return the path of a result: a stem's with an ending, such as :data:`DEPTH`."""
    return stem.with_name(f"{stem.name}{ending}")


def find_images(paths: Sequence[Path], note: Callable[[str], None]) -> list[NamedImage]:
    """Return the images named, folders replaced by the images in them, sorted; subfolders are not searched.

    Results begin with the image's name without suffix. Where that repeats, the suffix or the folder's name is added.

    Args:
        paths: images and folders.
        note: called once for each folder in which something was left out.

    Raises:
        DataError: a file is not there, or a folder cannot be read or holds no images.
        InputError: a bag or a film is named, or results of two images would have the same name.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise DataError(path, "no such file or folder", "check the path")
        if path.suffix in _BAG_SUFFIXES and not path.is_dir():
            raise InputError(path, "is a bag, not an image", "give it with --bag")
        if _is_film(path):
            raise InputError(path, "is a film, not an image", _frames_of(path))
        for file in _in_folder(path, note) if path.is_dir() else [path]:
            files.setdefault(file.absolute(), file)
    groups: dict[str, list[Path]] = {}
    for file in files.values():
        groups.setdefault(file.stem, []).append(file)
    names: dict[Path, str] = {}
    for stem, group in groups.items():
        names |= _names_apart(stem, group, groups.keys() | set(names.values()))
    return [NamedImage(file, names[file]) for file in files.values()]


def check_results(images: Sequence[NamedImage], out: Path) -> None:
    """Check before anything is written that results overwrite nothing but the results of an earlier run.

    Those have :data:`COLOR` beside :data:`DEPTH`. A frame to train with has no colours, or says in NAME.json whose
    depth it is.

    Raises:
        InputError: a result would overwrite one of the images, or depth that this command did not write.
    """
    inputs = {image.file.resolve() for image in images}
    for file, name in images:
        targets = [result_file(out / name, ending) for ending in (DEPTH, COLOR, CLOUD)]
        for target in targets:
            if target.resolve() in inputs:
                raise InputError(target, f"would be overwritten by a result of {file}", "give another --out")
        depth, color, _ = targets
        if depth.exists() and (not color.exists() or _is_frame(out / f"{name}.json")):
            raise InputError(depth, "exists and was not written by this command", "give another --out")


def _is_frame(description: Path) -> bool:
    try:
        read_description(description)
    except DataError:
        return False
    return True


def _in_folder(folder: Path, note: Callable[[str], None]) -> list[Path]:
    with reading(folder):
        entries = sorted(folder.iterdir())
    images = [entry for entry in entries if _is_image(entry)]
    known = {name for image in images for name in (image.stem, _with_suffix(image))}
    chosen = [image for image in images if not any(_base(image, ending) in known for ending in (DEPTH, COLOR))]
    if not chosen:
        raise DataError(folder, f"holds no images ({', '.join(SUFFIXES)})", _instead(entries))
    counts = {
        "other file": sum(entry.is_file() for entry in entries) - len(images),
        "result": len(images) - len(chosen),
        "folder": sum(entry.is_dir() for entry in entries),
    }
    left_out = [_counted(count, what) for what, count in counts.items() if count]
    if left_out:
        note(f"{folder}: {_counted(len(chosen), 'image')}; left out: {', '.join(left_out)}")
    return chosen


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _is_film(path: Path) -> bool:
    return path.suffix.lower() in _FILM_SUFFIXES and path.is_file()


def _frames_of(film: Path) -> str:
    return f"take its frames out first: mkdir frames && ffmpeg -i {shlex.quote(str(film))} frames/%06d.png"


def _base(image: Path, ending: str) -> str | None:
    """Return the name of the image that this file is a result of, or None."""
    return image.name.removesuffix(ending) if image.name.endswith(ending) else None


def _instead(entries: Iterable[Path]) -> str:
    entries = list(entries)
    if any(entry.suffix in _BAG_SUFFIXES for entry in entries):
        return "give a bag with --bag"
    if film := next(filter(_is_film, entries), None):
        return f"it has a film: {_frames_of(film)}"
    below = [entry for entry in entries if entry.is_dir() and any(map(_is_image, entry.iterdir()))]
    return f"give the folders below it: {listed([*map(str, below)], _MOST_NAMED)}" if below else ""


def _names_apart(stem: str, files: Sequence[Path], taken: set[str]) -> dict[Path, str]:
    if len(files) == 1:
        return {files[0]: stem}
    for form in (_with_suffix, _with_folder, lambda file: f"{file.absolute().parent.name}_{_with_suffix(file)}"):
        names = {file: form(file) for file in files}
        if len(set(names.values())) == len(files) and taken.isdisjoint(names.values()):
            return names
    raise InputError(
        f"{files[0]} and {files[1]}", "would overwrite each other's results", "run the command once for each folder"
    )


def _with_suffix(file: Path) -> str:
    return f"{file.stem}_{file.suffix[1:]}"


def _with_folder(file: Path) -> str:
    return f"{file.absolute().parent.name}_{file.stem}"
