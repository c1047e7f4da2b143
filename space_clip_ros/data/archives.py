"""Zip archives from the net, unpacked as if they were hostile: nothing is written outside the folder, ever."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from space_clip_ros.data.transfer import require_space
from space_clip_ros.errors import DownloadError

MAX_RATIO = 100
"""Largest size of the unpacked files over the archive's that is believed; pictures hardly shrink at all."""

MAX_ENTRIES = 1_000_000

_SMALL = 16 << 20
_BLOCK = 1 << 20


def unpack(
    archive: Path, folder: Path, skip: tuple[str, ...] = (), progress: Callable[[int, int], None] | None = None
) -> int:
    """Unpack a zip archive; files already there with the right size stay.

    Args:
        archive: the file.
        folder: where to, made if need be.
        skip: entries whose path holds one of these are left out.
        progress: called with (bytes done, bytes in all).

    Returns:
        How many files the folder has of the archive.

    Raises:
        DownloadError: the archive is damaged or encrypted; it holds a path that leaves the folder, a link or a special
            file, or more than can be honest; or the disk is too small. Everything is checked before the first write.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = list(_checked(opened, archive, skip))
            total = sum(entry.file_size for entry, _ in entries)
            folder.mkdir(parents=True, exist_ok=True)
            require_space(folder, total - _present(entries, folder), f"unpacking {archive.name}")
            done = 0
            for entry, path in entries:
                _extract(opened, entry, _inside(folder, path, archive))
                done += entry.file_size
                if progress is not None:
                    progress(done, total)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DownloadError(f"{archive}: is a damaged archive ({error}); delete it and download it again") from error
    except OSError as error:
        raise DownloadError(f"{error.filename or folder}: cannot be unpacked ({error.strerror})") from error
    return len(entries)


def _checked(
    opened: zipfile.ZipFile, archive: Path, skip: tuple[str, ...]
) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Yield the files to unpack and their relative paths."""
    infos = opened.infolist()
    unpacked = sum(info.file_size for info in infos)
    if len(infos) > MAX_ENTRIES or unpacked > max(MAX_RATIO * archive.stat().st_size, _SMALL):
        raise DownloadError(
            f"{archive}: claims {len(infos)} files of {unpacked / 1e9:.2f} GB in {archive.stat().st_size / 1e9:.2f} GB;"
            " that is no honest archive"
        )
    for info in infos:
        path = _safe_path(info, archive)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DownloadError(f"{archive}: holds {info.filename!r}, which is a link or special file")
        if info.flag_bits & 0x1:
            raise DownloadError(f"{archive}: {info.filename!r} is encrypted")
        if not info.is_dir() and not any(part in f"/{path}" for part in skip):
            yield info, path


def _safe_path(info: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    # orig_filename still has what ZipInfo cuts off or turns round: NUL bytes and backslashes.
    name = info.orig_filename
    path = PurePosixPath(name)
    has_drive = not path.parts or ":" in path.parts[0]
    if has_drive or "\\" in name or "\0" in name or path.is_absolute() or ".." in path.parts:
        raise DownloadError(f"{archive}: holds the path {name!r}, which leads out of its folder; it was not unpacked")
    return path


def _inside(folder: Path, path: PurePosixPath, archive: Path) -> Path:
    """Return the target, making sure that no link on the disk leads it elsewhere."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise DownloadError(f"{target.parent}: is a link out of {folder}; {archive.name} was not unpacked into it")
    return target


def _present(entries: list[tuple[zipfile.ZipInfo, PurePosixPath]], folder: Path) -> int:
    return sum(entry.file_size for entry, path in entries if _is_there(entry, folder / path))


def _is_there(entry: zipfile.ZipInfo, target: Path) -> bool:
    return target.is_file() and not target.is_symlink() and target.stat().st_size == entry.file_size


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Write one file, whole or not at all; its CRC is checked on the way."""
    if _is_there(entry, target):
        return
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    with opened.open(entry) as source, part.open("xb") as sink:
        shutil.copyfileobj(source, sink, _BLOCK)
    if part.stat().st_size != entry.file_size:
        part.unlink()
        raise zipfile.BadZipFile(f"{entry.filename!r} is shorter than its archive says")
    part.replace(target)
