"""Downloads data sets and weights, unpacks them, and records the result in ``downloads.json``."""

from __future__ import annotations

import contextlib
import fnmatch
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from space_clip_ros.data.archives import unpack
from space_clip_ros.data.http_download import ChecksumError, Progress, UnavailableError, fetch, interrupted_address
from space_clip_ros.data.published_lists import published_samples
from space_clip_ros.data.remote_files import RemoteFile, remote_files
from space_clip_ros.errors import DataError, DownloadError, InputError
from space_clip_ros.files import file_sha256, write_json

RECORD_FILE = "downloads.json"

StepProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DownloadRecord:
    """What ``downloads.json`` says about one downloaded file.

    Attributes:
        url: address that it came from.
        size: bytes.
        sha256: checksum of the whole file. If the publisher gives none, this is the first download's own: it proves
            that a later download is the same, not that the first one was right.
        etag: the server's ETag of that version; empty if it sends none.
        unpacked: whether the archive's files are in place.
    """

    url: str
    size: int
    sha256: str
    etag: str
    unpacked: bool = False


def choose_files(data_set: str, patterns: Sequence[str] = ()) -> list[RemoteFile]:
    """Return the files of a data set whose names match one of the shell patterns; all files without patterns.

    Raises:
        InputError: no such data set, or a pattern that matches none of its files.
    """
    files = remote_files(data_set)
    for pattern in patterns:
        if not fnmatch.filter([file.name for file in files], pattern):
            raise InputError(
                f"no file of {data_set} matches {pattern!r}", remedy=f"they are named like {files[-1].name!r}"
            )
    return [file for file in files if not patterns or any(fnmatch.fnmatch(file.name, item) for item in patterns)]


def download(
    files: Sequence[RemoteFile],
    folder: str | Path,
    *,
    keep_archives: bool = False,
    progress: StepProgress | None = None,
    pause_s: float = 1.0,
) -> list[Path]:
    """Download files to a folder and unpack archives, skipping what an earlier run finished.

    Args:
        files: the files, from :func:`choose_files`.
        folder: folder to download to, created if missing.
        keep_archives: do not remove archives once they are unpacked.
        progress: called with (name of the step, bytes done, total bytes; 0 if unknown).
        pause_s: seconds to wait before a second attempt.

    Returns:
        The files, and the folders that archives were unpacked into.

    Raises:
        DownloadError: a file cannot be downloaded, has the wrong checksum, or does not fit on the disk.
    """
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        return [_download(file, root, keep_archives, progress, pause_s) for file in files]
    except OSError as error:
        raise DownloadError(error.filename or root, f"cannot be written ({error.strerror})") from error
    except DataError as error:
        raise DownloadError(error.what, error.reason, error.remedy) from error


def read_records(folder: Path) -> dict[str, DownloadRecord]:
    """Return the records of the files downloaded to a folder, by file name.

    Raises:
        DownloadError: ``downloads.json`` is damaged.
    """
    path = folder / RECORD_FILE
    if not path.exists():
        return {}
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {name: DownloadRecord(**values) for name, values in stored.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DownloadError(path, f"is damaged ({error})", "delete it to start over") from error


def _download(file: RemoteFile, root: Path, keep_archive: bool, progress: StepProgress | None, pause_s: float) -> Path:
    """Download one file, unpack it if it is an archive, and return where the result is."""
    path = root / file.name
    target = path if file.unpack is None else root / file.unpack
    record = read_records(root).get(file.name)
    if record is not None and record.url not in file.urls:
        record = None
    if record is None and file.holds and path.is_file():  # fetched by hand; its content is checked below
        record = DownloadRecord(file.url, path.stat().st_size, file_sha256(path), etag="")
        _write_record(root, file.name, record)
    complete = record is not None and path.is_file() and path.stat().st_size == record.size
    if record is not None and (complete if file.unpack is None else record.unpacked):
        return target
    if record is None or not complete:
        record = _fetch(file, path, record, progress, pause_s)
        _write_record(root, file.name, record)
    if file.unpack is not None:
        step = _labelled(progress, f"unpacking {file.name}")
        unpack(path, target, file.skip, step, levels=file.levels, required=_required(file))
        _write_record(root, file.name, replace(record, unpacked=True))
        if not keep_archive:
            path.unlink()
    return target


def _required(file: RemoteFile) -> list[str]:
    samples = published_samples(file.holds) if file.holds else []
    return [path for sample in samples for path in (sample.image, sample.depth)]


def _fetch(
    file: RemoteFile, path: Path, earlier: DownloadRecord | None, progress: StepProgress | None, pause_s: float
) -> DownloadRecord:
    """Download a file from the first of its addresses that serves it, resuming an interrupted download."""
    *first, last = sorted(file.urls, key=lambda url: url != interrupted_address(path))
    for url in first:
        with contextlib.suppress(UnavailableError):
            return _fetch_from(url, file, path, earlier, progress, pause_s)
    try:
        return _fetch_from(last, file, path, earlier, progress, pause_s)
    except UnavailableError as error:
        if not file.holds:
            raise
        remedy = f"fetch it in a browser from {' or '.join(file.urls)}, save it as {path} and run the command again"
        raise UnavailableError(file.name, f"is not available now ({error.problem})", remedy) from error


def _fetch_from(
    url: str,
    file: RemoteFile,
    path: Path,
    earlier: DownloadRecord | None,
    progress: StepProgress | None,
    pause_s: float,
) -> DownloadRecord:
    # An archive with `holds` is checked by its content. An earlier one that failed that check sets no checksum.
    same = earlier is not None and earlier.url == url and (earlier.unpacked or not file.holds)
    expected = file.sha256 or (earlier.sha256 if earlier is not None and same else None)
    try:
        fetched = fetch(url, path, expected, _labelled(progress, file.name), pause_s)
    except ChecksumError as error:
        if file.sha256 is not None:
            raise
        hint = (
            "the first download had another checksum; if the publisher changed the file, delete "
            f"{file.name!r} from {path.parent / RECORD_FILE}"
        )
        raise ChecksumError(error.what, error.reason, f"{error.remedy} ({hint})") from error
    return DownloadRecord(url, fetched.size, fetched.sha256, fetched.etag)


def _labelled(progress: StepProgress | None, step: str) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(step, done, total)


def _write_record(root: Path, name: str, record: DownloadRecord) -> None:
    records = {**read_records(root), name: record}
    write_json(root / RECORD_FILE, {key: asdict(value) for key, value in sorted(records.items())})
