"""Unpacks downloaded zip archives without trusting them: nothing is ever written outside the target folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath

from space_clip_ros.data.http_download import require_space
from space_clip_ros.errors import DataError, DownloadError
from space_clip_ros.files import written_whole

MAX_RATIO = 100
"""Largest believable ratio of unpacked to packed bytes; pictures hardly compress at all."""

MAX_ENTRIES = 1_000_000

_Entries = list[tuple[zipfile.ZipInfo, PurePosixPath]]
_ANY_RATIO_BYTES = 16 << 20  # archives that unpack to less may be packed as tightly as they like
_BLOCK_BYTES = 1 << 20


def unpack(
    archive: Path,
    folder: Path,
    skip: tuple[str, ...] = (),
    progress: Callable[[int, int], None] | None = None,
    *,
    levels: int = 0,
    required: Collection[str] = (),
) -> int:
    """Unpack a zip archive, keeping files that are already there with the right size.

    Args:
        archive: the zip file.
        folder: folder to unpack into, created if missing.
        skip: skip entries whose path, with a slash in front, contains one of these.
        progress: called with (bytes done, total bytes).
        levels: how many of the folders above a file to keep, counted from the file; 0 keeps the whole path.
        required: paths below ``folder`` that the archive must hold.

    Returns:
        How many of the archive's files the folder now has.

    Raises:
        DownloadError: the archive is damaged or encrypted; it holds a path that leaves the folder, a link or a special
            file, or unbelievably much data; it lacks a required file; or the disk is too small. All entries are checked
            before the first write.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _shortened(list(_checked(opened, archive, skip)), levels, archive)
            _check_required({path.as_posix() for _, path in entries}, required, archive)
            total = sum(entry.file_size for entry, _ in entries)
            folder.mkdir(parents=True, exist_ok=True)
            require_space(folder, total - _bytes_present(entries, folder), f"unpacking {archive.name}")
            done = 0
            for entry, path in entries:
                _extract(opened, entry, _target(folder, path, archive))
                done += entry.file_size
                if progress is not None:
                    progress(done, total)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DownloadError(archive, f"is a damaged archive ({error})", "delete it and download it again") from error
    except OSError as error:
        raise DownloadError(error.filename or folder, f"cannot be unpacked ({error.strerror})") from error
    except DataError as error:
        raise DownloadError(error.what, error.reason, error.remedy) from error
    return len(entries)


def _checked(
    opened: zipfile.ZipFile, archive: Path, skip: tuple[str, ...]
) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Yield the files to unpack and their relative paths."""
    infos = opened.infolist()
    unpacked = sum(info.file_size for info in infos)
    if len(infos) > MAX_ENTRIES or unpacked > max(MAX_RATIO * archive.stat().st_size, _ANY_RATIO_BYTES):
        claim = f"{len(infos)} files of {unpacked / 1e9:.2f} GB in {archive.stat().st_size / 1e9:.2f} GB"
        raise DownloadError(archive, f"claims to hold {claim}, which cannot be true", "delete it and download it again")
    for info in infos:
        path = _safe_path(info, archive)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DownloadError(archive, f"holds {info.filename!r}, which is a link or special file")
        if info.flag_bits & 0x1:
            raise DownloadError(archive, f"{info.filename!r} is encrypted")
        if not info.is_dir() and not any(part in f"/{path}" for part in skip):
            yield info, path


def _shortened(entries: _Entries, levels: int, archive: Path) -> _Entries:
    """Return the entries with only the last ``levels`` folders of their paths."""
    if not levels:
        return entries
    shortened = [(entry, PurePosixPath(*path.parts[-levels - 1 :])) for entry, path in entries]
    if len({path for _, path in shortened}) < len(shortened):
        raise DownloadError(archive, f"has several files of the same name in {levels} folders; nothing was unpacked")
    return shortened


def _check_required(held: set[str], required: Collection[str], archive: Path) -> None:
    lacking = sorted(set(required) - held)
    if lacking:
        raise DownloadError(
            archive,
            f"lacks {len(lacking)} of {len(required)} files that it should hold, the first: {lacking[0]}",
            "delete it and download it again",
        )


def _safe_path(info: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    # filename has lost what orig_filename still shows: NUL bytes and backslashes.
    name = info.orig_filename
    path = PurePosixPath(name)
    has_drive = not path.parts or ":" in path.parts[0]
    if has_drive or "\\" in name or "\0" in name or path.is_absolute() or ".." in path.parts:
        raise DownloadError(archive, f"holds the path {name!r}, which leads out of its folder; nothing was unpacked")
    return path


def _target(folder: Path, path: PurePosixPath, archive: Path) -> Path:
    """Return where to write an entry, and check that no link on the disk leads out of the folder."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise DownloadError(target.parent, f"is a link out of {folder}; {archive.name} was not unpacked into it")
    return target


def _bytes_present(entries: _Entries, folder: Path) -> int:
    return sum(entry.file_size for entry, path in entries if _is_present(entry, folder / path))


def _is_present(entry: zipfile.ZipInfo, target: Path) -> bool:
    return target.is_file() and not target.is_symlink() and target.stat().st_size == entry.file_size


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Write one file; zipfile checks its CRC while reading."""
    if _is_present(entry, target):
        return
    with written_whole(target) as draft:
        with opened.open(entry) as source, draft.open("xb") as sink:
            shutil.copyfileobj(source, sink, _BLOCK_BYTES)
        if draft.stat().st_size != entry.file_size:
            raise zipfile.BadZipFile(f"{entry.filename!r} is shorter than its archive says")
