"""Downloads data sets and weights: fetched, checked, unpacked, and remembered in ``downloads.json``."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from space_clip_ros.data.archives import unpack
from space_clip_ros.data.sources import Source, sources
from space_clip_ros.data.transfer import fetch
from space_clip_ros.errors import DownloadError, InputError

RECORD = "downloads.json"

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Record:
    """What is known of a file that was downloaded.

    Attributes:
        url: where from.
        size: bytes.
        sha256: of the whole file. For files whose publisher gives no checksum this is the first download's own, which
            proves that a later one is the same, not that the first was right.
        etag: the server's name for that version; empty where it gives none.
        unpacked: the archive's files are in place.
    """

    url: str
    size: int
    sha256: str
    etag: str
    unpacked: bool = False


def choose(what: str, only: Sequence[str] = ()) -> list[Source]:
    """Return the files of a set whose names match one of the shell patterns in ``only``; all where it is empty.

    Raises:
        InputError: no such set, or a pattern that matches none of its files.
    """
    found = sources(what)
    for pattern in only:
        if not any(fnmatch.fnmatch(source.name, pattern) for source in found):
            raise InputError(f"no file of {what} matches {pattern!r}; they are named like {found[-1].name!r}")
    return [source for source in found if not only or any(fnmatch.fnmatch(source.name, item) for item in only)]


def download(
    wanted: Sequence[Source],
    folder: str | Path,
    *,
    keep_archives: bool = False,
    report: Report | None = None,
    pause_s: float = 1.0,
) -> list[Path]:
    """Bring files to a folder and unpack archives; what an earlier run finished is left as it is.

    Args:
        wanted: the files, from :func:`choose`.
        folder: where to, made if need be.
        keep_archives: do not remove archives once they are unpacked.
        report: called with (what is being done, bytes done, bytes in all; 0 where unknown).
        pause_s: wait before a second try, seconds.

    Returns:
        The files, and the folders that archives were unpacked into.

    Raises:
        DownloadError: a file cannot be had, is not what it should be, or does not fit on the disk.
    """
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        return [_bring(source, root, keep_archives, report, pause_s) for source in wanted]
    except OSError as error:
        raise DownloadError(f"{error.filename or root}: cannot be written ({error.strerror})") from error


def read_records(folder: Path) -> dict[str, Record]:
    """Return what is known of the files downloaded to a folder.

    Raises:
        DownloadError: the record is damaged.
    """
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {name: Record(**values) for name, values in stored.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DownloadError(f"{path}: is damaged ({error}); delete it to start over") from error


def _bring(source: Source, root: Path, keep_archives: bool, report: Report | None, pause_s: float) -> Path:
    path = root / source.name
    target = path if source.unpack is None else root / source.unpack
    record = read_records(root).get(source.name)
    if record is not None and record.url != source.url:
        record = None
    if _is_done(source, path, record):
        return target
    if record is None or not path.is_file() or path.stat().st_size != record.size:
        record = _fetch(source, path, record, report, pause_s)
        _remember(root, source.name, record)
    if source.unpack is not None:
        unpack(path, target, source.skip, _labelled(report, f"unpacking {source.name}"))
        _remember(root, source.name, Record(**{**asdict(record), "unpacked": True}))
        if not keep_archives:
            path.unlink()
    return target


def _is_done(source: Source, path: Path, record: Record | None) -> bool:
    if record is None:
        return False
    return record.unpacked if source.unpack is not None else path.is_file() and path.stat().st_size == record.size


def _fetch(source: Source, path: Path, known: Record | None, report: Report | None, pause_s: float) -> Record:
    expected = source.sha256 or (known.sha256 if known is not None else None)
    try:
        fetched = fetch(source.url, path, expected, _labelled(report, source.name), pause_s)
    except DownloadError as error:
        if source.sha256 is None and known is not None and known.sha256 in str(error):
            hint = f"the first download had another checksum; if the publisher changed the file, delete {source.name!r}"
            raise DownloadError(f"{error} ({hint} from {path.parent / RECORD})") from error
        raise
    return Record(source.url, fetched.size, fetched.sha256, fetched.etag)


def _labelled(report: Report | None, label: str) -> Callable[[int, int], None] | None:
    if report is None:
        return None
    return lambda done, total: report(label, done, total)


def _remember(root: Path, name: str, record: Record) -> None:
    records = {**read_records(root), name: record}
    text = json.dumps({key: asdict(value) for key, value in sorted(records.items())}, indent=1)
    part = root / (RECORD + ".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(root / RECORD)
