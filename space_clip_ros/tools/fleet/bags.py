"""Finds the bags of a fleet: single bags, folders and lists of bags, on disk or in object storage."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.files import reading
from space_clip_ros.tools.bags.bag_folder import METADATA, find_files, recording
from space_clip_ros.tools.bags.storage_file import STORAGES_BY_SUFFIX, ZSTD_SUFFIXES, storage_suffix
from space_clip_ros.tools.fleet.storage import Storage, is_url, join

_LIST_SUFFIX = ".txt"
_SUFFIXES = tuple(suffix + packed for packed in (*ZSTD_SUFFIXES, "") for suffix in STORAGES_BY_SUFFIX)
_ITSELF = PurePosixPath(".")
_ON_DISK = re.compile(r"(file|local)://")


class FleetBag(NamedTuple):
    """A bag, and the name of its result.

    Attributes:
        source: absolute path, or address.
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
    return path.is_dir() and _bags_below(path) not in ([], [_ITSELF])


def find_bags(sources: Sequence[str]) -> list[FleetBag]:
    """Return all bags, sorted by name.

    A result has its bag's name; if the bag was found in a folder, the folders on the way to it precede that.

    Args:
        sources: bags, folders with bags at any depth, text files with one bag or folder a line, or addresses of these
            in object storage.

    Raises:
        DataError: one of them is missing or has no bags in it.
        InputError: two bags would have the same name, or the result of one would lie in another's.
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
    for name, source in taken.items():
        for above in map(str, PurePosixPath(name).parents):
            if above in taken:
                raise InputError(
                    f"{taken[above]} and {source}",
                    f"would be written to {above} and, inside that, to {name}",
                    "rename one, or run the command once for each, with an output folder of its own",
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
    if is_url(place) and not _ON_DISK.match(place):
        return place.rstrip("/")
    return str(Path(_ON_DISK.sub("", place)).expanduser().resolve())


def _bags(source: str) -> Iterator[FleetBag]:
    if is_url(source):
        yield from _stored_bags(source)
        return
    # A cluster's workers run in another folder.
    path = Path(source).expanduser().absolute()
    if path.suffix == _LIST_SUFFIX and path.is_file():
        yield from _listed(path)
    elif path.is_dir():
        found = _bags_below(path)
        if not found:
            raise DataError(path, "has no bags in it, at any depth")
        for bag in found:
            yield FleetBag(str(path / bag), _stem(path.resolve().name if bag == _ITSELF else bag.as_posix()))
    else:
        find_files(path)
        yield FleetBag(str(path), _stem(path.resolve().name))


def _bags_below(folder: Path) -> list[PurePosixPath]:
    return _grouped(_ITSELF, _files_below(folder, folder, folder.resolve(), set()))


def _files_below(folder: Path, top: Path, real_top: Path, seen: set[Path]) -> Iterator[PurePosixPath]:
    """Yield the files below a folder that belong to bags, relative to ``top``.

    Hidden files are left out, and links to what is found without them.
    """
    with reading(folder):
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    is_bag = any(entry.name == METADATA for entry in entries)
    for entry in entries:
        relative = PurePosixPath(entry.relative_to(top).as_posix())
        if entry.exists() and (real := entry.resolve()) != real_top / relative:
            if real in seen or _is_shown(real, real_top):
                continue
            seen.add(real)
        if not entry.is_dir():
            if entry.name == METADATA or storage_suffix(entry):
                yield relative
        elif not is_bag:
            yield from _files_below(entry, top, real_top, seen)


def _is_shown(real: Path, real_top: Path) -> bool:
    return real.is_relative_to(real_top) and not any(part.startswith(".") for part in real.relative_to(real_top).parts)


def _grouped(folder: PurePosixPath, files: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Return the bags that files make up: folders, and single files beside other bags.

    Args:
        folder: what all of them are below.
        files: their names, relative to the same as ``folder``; those that belong to no bag are left out.
    """
    own: list[PurePosixPath] = []
    deeper: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for file in files:
        first, *rest = file.relative_to(folder).parts
        if rest:
            deeper[folder / first].append(file)
        elif file.name == METADATA or storage_suffix(Path(file)):
            own.append(file)
    # A folder with damaged metadata is a bag, too: its own task says what is wrong with it.
    if any(file.name == METADATA for file in own):
        return [folder]
    inner = [bag for below, some in sorted(deeper.items()) for bag in _grouped(below, some)]
    if own and not inner:
        with contextlib.suppress(DataError):
            recording(Path(folder), map(Path, own))
            return [folder]
    # Beside other bags, a file is a bag of its own.
    return sorted([*own, *inner])


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
    last = address.rpartition("/")[2]
    below = [PurePosixPath(file.removeprefix(address).strip("/")) for file in Storage(address).files()]
    if below == [_ITSELF]:
        yield FleetBag(address, _stem(last))
        return
    found = _grouped(_ITSELF, (file for file in below if not any(part.startswith(".") for part in file.parts)))
    if not found:
        raise DataError(address, "has no bags in it", f"a bag is a folder with {METADATA}, or an .mcap or .db3 file")
    for bag in found:
        whole = bag == _ITSELF
        yield FleetBag(address if whole else join(address, str(bag)), _stem(last if whole else str(bag)))


def _stem(name: str) -> str:
    return name.removesuffix(next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), ""))
