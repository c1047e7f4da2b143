"""Downloads one file over HTTP, resuming an interrupted download, and checks it before giving it its final name."""

# Why not pooch: version 1.9 starts an interrupted file again at byte 0, and the annotated KITTI depth alone is 14 GB.
# The .part file also replaces files.written_whole here, because it must survive an interruption.

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from space_clip_ros import __version__
from space_clip_ros.errors import DownloadError

Progress = Callable[[int, int], None]

ATTEMPTS = 5
"""Attempts in a row without a new byte before giving up."""

TIMEOUT_S = 30.0
_BLOCK_BYTES = 1 << 20
_SPARE_BYTES = 64 << 20
_PAGES = (".html", ".htm")
_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class FetchedFile:
    """A completely downloaded file.

    Attributes:
        size: bytes.
        sha256: checksum of the whole file, hexadecimal.
        etag: the server's ETag of this version; empty if it sends none.
    """

    size: int
    sha256: str
    etag: str


@dataclass(frozen=True)
class _Version:
    """What the server said about the file that a .part belongs to; stored next to it as JSON."""

    url: str
    etag: str
    modified: str
    total: int

    @property
    def validator(self) -> str:
        """The value for ``If-Range`` (RFC 9110, 13.1.5); weak ETags do not promise equal bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    @property
    def recognisable(self) -> bool:
        """Whether a later answer can be compared with this one, at least by its length."""
        return bool(self.validator or self.total)


class ChecksumError(DownloadError):
    """A downloaded file does not have the expected SHA-256."""


class UnavailableError(DownloadError):
    """A server that cannot be reached or does not give the file; nothing was downloaded."""


class _InterruptedTransferError(Exception):
    """The connection ended early or the server asked to retry; trying again may help."""


def fetch(
    url: str, path: Path, sha256: str | None = None, progress: Progress | None = None, pause_s: float = 1.0
) -> FetchedFile:
    """Download a file, resuming ``<path>.part`` if the server still has the same version.

    Args:
        url: http or https address.
        path: file to write; its folder must exist.
        sha256: checksum that the file must have; None for any.
        progress: called with (bytes downloaded, total bytes; 0 if unknown).
        pause_s: seconds to wait before the second attempt, doubled for each further one.

    Raises:
        ChecksumError: the file has another checksum; it was removed.
        UnavailableError: the server refuses or cannot be reached, and no byte has arrived.
        DownloadError: not an http(s) address, the connection keeps failing, or the disk is too small. An interrupted
            file is kept for the next run.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise DownloadError(url, "only http and https addresses can be downloaded")
    transfer = _Transfer(url, path, progress)
    failures = 0
    while True:
        before = transfer.received
        try:
            version = transfer.run()
            break
        except _InterruptedTransferError as error:
            failures = 1 if transfer.received > before else failures + 1
            if failures >= ATTEMPTS:
                raise transfer.failure(
                    f"gave up after {failures} attempts ({error})",
                    f"run the command again to resume at byte {transfer.received}",
                ) from error
            time.sleep(pause_s * 2 ** (failures - 1))
    digest = transfer.digest.hexdigest()
    if sha256 is not None and digest != sha256.lower():
        transfer.discard()
        raise ChecksumError(url, f"arrived with sha256 {digest} instead of {sha256}", "it was removed, try again")
    transfer.finish()
    return FetchedFile(transfer.received, digest, version.etag)


class _Transfer:
    """One download: its .part file and the running checksum."""

    def __init__(self, url: str, path: Path, progress: Progress | None) -> None:
        self.url = url
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self._version_file = _version_file(path)
        self._progress = progress
        self._version = self._known_version()
        if self._version is None:
            self.part.unlink(missing_ok=True)
        self.received = 0
        self.digest = hashlib.sha256()
        if self.part.exists():
            self._reread()

    def run(self) -> _Version:
        """Download the missing bytes; return the file's version."""
        if self._version is not None and 0 < self._version.total == self.received:
            return self._version
        try:
            with urllib.request.urlopen(self._request(), timeout=TIMEOUT_S) as response:
                return self._receive(response)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # our .part does not fit the file that the server has now
                self.discard()
                raise _InterruptedTransferError("the file on the server has changed") from error
            if error.code in _TRANSIENT_STATUS:
                raise _InterruptedTransferError(f"HTTP {error.code} {error.reason}") from error
            raise self.failure(f"the server answers {error.code} {error.reason}") from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", None) or error
            raise _InterruptedTransferError(str(reason) or type(error).__name__) from error

    def failure(self, reason: str, remedy: str = "") -> DownloadError:
        """Return the error to raise when the server refuses: unavailable if nothing has been downloaded."""
        return (DownloadError if self.received else UnavailableError)(self.url, reason, remedy)

    def discard(self) -> None:
        """Delete what was downloaded so far."""
        self.part.unlink(missing_ok=True)
        self._version_file.unlink(missing_ok=True)
        self._version, self.received, self.digest = None, 0, hashlib.sha256()

    def finish(self) -> None:
        """Give the complete file its final name."""
        self.part.replace(self.path)
        self._version_file.unlink(missing_ok=True)

    def _request(self) -> urllib.request.Request:
        headers = {"User-Agent": f"space_clip/{__version__}", "Accept-Encoding": "identity"}
        if self.received and self._version is not None and self._version.recognisable:
            headers["Range"] = f"bytes={self.received}-"
            if self._version.validator:
                headers["If-Range"] = self._version.validator
        return urllib.request.Request(self.url, headers=headers)

    def _receive(self, response: http.client.HTTPResponse) -> _Version:
        if response.headers.get_content_type() == "text/html" and self.path.suffix not in _PAGES:
            raise self.failure(
                "the server sends a web page instead of the file",
                "open the address in a browser to see why, or try again later",
            )
        if response.status == 206:
            self._check_continuation(response)
        elif self.received:
            self.discard()
        length = response.headers.get("Content-Length")
        total = self.received + int(length) if length and length.isdigit() else 0
        headers = response.headers
        self._version = _Version(self.url, headers.get("ETag", ""), headers.get("Last-Modified", ""), total)
        require_space(self.path.parent, total - self.received, self.path.name)
        self._version_file.write_text(json.dumps(asdict(self._version)), encoding="utf-8")
        with self.part.open("ab") as file:
            self._copy(response, file, total)
            file.flush()
            os.fsync(file.fileno())
        if self.received < total:
            raise _InterruptedTransferError(f"the connection ended after {self.received} of {total} bytes")
        return self._version

    def _copy(self, response: http.client.HTTPResponse, file: BinaryIO, total: int) -> None:
        while block := response.read(_BLOCK_BYTES):
            try:
                file.write(block)
            except OSError as error:
                raise DownloadError(self.part, f"cannot be written ({error.strerror})", "free some space") from error
            self.digest.update(block)
            self.received += len(block)
            if self._progress is not None:
                self._progress(self.received, total)

    def _check_continuation(self, response: http.client.HTTPResponse) -> None:
        """Check that a partial response starts where our .part ends, and that the file is as long as ours.

        Some servers, such as Google Drive's, send no ETag or date that would identify a version.
        """
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        total = self._version.total if self._version is not None else 0
        if match is None or int(match[1]) != self.received or (total and match[2] not in ("*", str(total))):
            self.discard()
            raise _InterruptedTransferError("the server sent another part of the file than requested")

    def _known_version(self) -> _Version | None:
        """Return the version that the .part on disk belongs to; None if unknown or from another address."""
        version = _read_version(self._version_file)
        if version is None:
            return None
        return version if version.url == self.url and version.recognisable else None

    def _reread(self) -> None:
        with self.part.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                self.digest.update(block)
                self.received += len(block)


def _version_file(path: Path) -> Path:
    return path.with_name(path.name + ".part.json")


def _read_version(path: Path) -> _Version | None:
    try:
        return _Version(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def interrupted_address(path: Path) -> str:
    """Return the address that an interrupted download of ``path`` came from; empty if there is none to resume."""
    version = _read_version(_version_file(path))
    return version.url if version is not None else ""


def require_space(folder: Path, size: int, what: str) -> None:
    """Check that ``size`` more bytes fit on the disk of ``folder``, with 64 MiB to spare.

    Raises:
        DownloadError: they do not fit; it names ``what`` needs the space.
    """
    free = shutil.disk_usage(folder).free
    if size > 0 and size + _SPARE_BYTES > free:
        raise DownloadError(
            folder,
            f"{what} needs {size / 1e9:.2f} GB, but {free / 1e9:.2f} GB are free",
            "free some space or give another folder",
        )
