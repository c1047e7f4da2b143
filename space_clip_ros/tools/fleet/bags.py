"""Finds the bags of a fleet: single bags, folders and lists of bags, on disk or in object storage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.files import reading
from space_clip_ros.tools.bags.bag_folder import METADATA, find_files
from space_clip_ros.tools.bags.storage_file import STORAGES_BY_SUFFIX, ZSTD_SUFFIXES, storage_suffix
from space_clip_ros.tools.fleet.storage import Storage, is_url, join

_LIST_SUFFIX = ".txt"
_SUFFIXES = tuple(suffix + packed for packed in (*ZSTD_SUFFIXES, "") for suffix in STORAGES_BY_SUFFIX)


class FleetBag(NamedTuple):
    """A bag, and the name of its result.

    Attributes:
        source: path or address.
        name: of the folder that its result goes to, below the output folder; may have slashes.
    """

    source: str
    name: str


def is_fleet(sources: Sequence[str]) -> bool:
    """Return whether these are anything but one bag on this machine's disk."""
    if len(sources) > 1 or is_url(sources[0]):
        return True
    path = Path(sources[0]).expanduser()
    if path.suffix == _LIST_SUFFIX:
        return path.is_file()
    return path.is_dir() and not _is_bag(path) and any(True for _ in _below(path, path))


def find_bags(sources: Sequence[str]) -> list[FleetBag]:
    """Return all bags, sorted by name.

    A result has its bag's name; if the bag was found in a folder, the folders on the way to it precede that.

    Args:
        sources: bags, folders with bags at any depth, text files with one bag or folder a line, or addresses of these
            in object storage.

    Raises:
        DataError: one of them is missing or has no bags in it.
        InputError: two bags would have the same name.
    """
    bags = [bag for source in sources for bag in _bags(source)]
    taken: dict[str, str] = {}
    for bag in bags:
        if taken.setdefault(bag.name, bag.source) != bag.source:
            raise InputError(
                f"{taken[bag.name]} and {bag.source}",
                f"would both be written to {bag.name}",
                "give a folder above both, or run the command once for each",
            )
    return [FleetBag(source, name) for name, source in sorted(taken.items())]


def refuse_inside(sources: Sequence[str], bags: Sequence[FleetBag], out: str) -> None:
    """Refuse an output folder inside a source, because the next run would take its bags for sources.

    Args:
        sources: as for :func:`find_bags`.
        bags: what it found.
        out: path or address of the output folder.

    Raises:
        InputError: it lies in a source, or a result would replace its own bag.
    """
    inside = [source for source in sources if f"{_whole(out)}/".startswith(f"{_whole(source)}/")]
    inside += [bag.source for bag in bags if _whole(bag.source) == _whole(join(out, bag.name))]
    if inside:
        raise InputError(out, f"lies where the bags of {inside[0]} are", "choose another folder")


def _whole(place: str) -> str:
    return place.rstrip("/") if is_url(place) else str(Path(place).expanduser().resolve())


def _bags(source: str) -> Iterator[FleetBag]:
    if is_url(source):
        yield from _stored_bags(source)
        return
    path = Path(source).expanduser()
    if path.suffix == _LIST_SUFFIX and path.is_file():
        yield from _listed(path)
    elif path.is_dir() and not _is_bag(path):
        below = list(_below(path, path))
        if not below:
            raise DataError(path, "has no bags in it, at any depth")
        yield from below
    else:
        find_files(path)
        yield FleetBag(str(path), _stem(path.resolve().name))


def _below(folder: Path, top: Path) -> Iterator[FleetBag]:
    with reading(folder):
        shown = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
        entries = sorted(entry for entry in shown if entry.is_dir() or storage_suffix(entry))
    for entry in entries:
        relative = entry.relative_to(top)
        if not entry.is_dir():
            yield FleetBag(str(entry), relative.with_name(_stem(entry.name)).as_posix())
        elif _is_bag(entry):
            yield FleetBag(str(entry), relative.as_posix())
        else:
            yield from _below(entry, top)


def _listed(file: Path) -> Iterator[FleetBag]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(file, f"cannot be read ({error})") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise DataError(file, "names no bags", "give one per line")
    for name in names:
        # Paths in a list are relative to the list's folder.
        yield from _bags(name if is_url(name) else str(file.parent / Path(name).expanduser()))


def _stored_bags(address: str) -> Iterator[FleetBag]:
    address = address.rstrip("/")
    files = [file for file in Storage(address).files() if not file.rpartition("/")[2].startswith(".")]
    folders = {file.rpartition("/")[0] for file in files if file.rpartition("/")[2] == METADATA}
    single = [file for file in files if file.endswith(_SUFFIXES) and file.rpartition("/")[0] not in folders]
    for bag in sorted({*folders, *single}):
        relative = bag.removeprefix(address).strip("/") or address.rpartition("/")[2]
        yield FleetBag(bag, str(PurePosixPath(relative).with_name(_stem(PurePosixPath(relative).name))))
    if not folders and not single:
        raise DataError(address, "has no bags in it", f"a bag is a folder with {METADATA}, or an .mcap or .db3 file")


def _is_bag(folder: Path) -> bool:
    # A folder with damaged metadata is a bag, too: its own task says what is wrong with it.
    if (folder / METADATA).is_file():
        return True
    with contextlib.suppress(DataError):
        files = find_files(folder).files
        # Beside other bags, a file is a bag of its own.
        return all(Path(bag.source) in files for bag in _below(folder, folder))
    return False


def _stem(name: str) -> str:
    return name.removesuffix(next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), ""))
