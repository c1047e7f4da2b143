"""Bytes of shards: on this machine's disk, behind an HTTP address, or in object storage through fsspec."""

from __future__ import annotations

import os
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from space_clip_ros import __version__
from space_clip_ros.errors import DataError, one_line
from space_clip_ros.files import reading
from space_clip_ros.libraries import import_error

ATTEMPTS = 4
"""Attempts to read a part of a remote file."""

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://")
_PAUSE_S = 0.5
_TIMEOUT_S = 30.0
_FINAL_STATUS = (400, 401, 403, 404, 405, 410, 416)


class ShardFiles:
    """Reads parts of the files in one folder.

    Nothing is kept open, so that reading processes can be forked at any time.

    Args:
        place: path of the folder, or its address, such as ``https://host/shards`` or ``s3://bucket/shards``.
    """

    def __init__(self, place: str) -> None:
        """Keep the place; nothing is read yet."""
        match = _URL.match(place)
        self._scheme = match[1] if match else ""
        self._place = place.rstrip("/")
        self._storage: tuple[int, Any] = (0, None)

    @property
    def local(self) -> Path | None:
        """The folder, if it is on this machine; else None."""
        return None if self._scheme else Path(self._place).expanduser()

    def address(self, name: str) -> str:
        """Return a file's path or address."""
        return f"{self._place}/{name}"

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """Return a part of a file, or all of it.

        Args:
            name: of the file.
            start: number of the first byte.
            size: number of bytes; None for the whole file.

        Raises:
            DataError: the file is missing, shorter than that, or cannot be read.
            LibraryError: what this kind of address needs is not installed.
        """
        data = self._local(name, start, size) if self.local is not None else self._remote(name, start, size)
        if size is not None and len(data) != size:
            raise DataError(
                self.address(name), f"ends early: {len(data)} of {size} bytes from {start} on", "copy it again"
            )
        return data

    def _local(self, name: str, start: int, size: int | None) -> bytes:
        with reading(self.address(name)), Path(self._place).expanduser().joinpath(name).open("rb") as file:
            file.seek(start)
            return file.read(-1 if size is None else size)

    def _remote(self, name: str, start: int, size: int | None) -> bytes:
        read = self._http if self._scheme in ("http", "https") else self._stored
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return read(self.address(name), start, size)
            except (DataError, ImportError):
                raise
            except Exception as error:
                # Every provider's library has its own errors; a lasting one comes again.
                final = isinstance(error, FileNotFoundError | PermissionError) or (
                    isinstance(error, urllib.error.HTTPError) and error.code in _FINAL_STATUS
                )
                if final or attempt == ATTEMPTS:
                    raise DataError(self.address(name), f"cannot be read ({one_line(error)})") from error
                time.sleep(_PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _http(self, address: str, start: int, size: int | None) -> bytes:
        headers = {"User-Agent": f"space_clip/{__version__}"}
        if size is not None:
            headers["Range"] = f"bytes={start}-{start + size - 1}"
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=_TIMEOUT_S) as answer:
            if size is not None and answer.status != 206:
                raise DataError(address, "comes from a server that cannot send parts of files", "use another server")
            data: bytes = answer.read()
        return data

    def _stored(self, address: str, start: int, size: int | None) -> bytes:
        end = None if size is None else start + size
        data: bytes = self._file_system().cat_file(address, start=start, end=end)
        return data

    def _file_system(self) -> Any:
        """Return this process's own file system, because fsspec's do not survive a fork."""
        process, system = self._storage
        if process != os.getpid():
            try:
                import fsspec

                system = fsspec.filesystem(self._scheme, skip_instance_cache=self._scheme != "memory")
            except ImportError as error:
                raise import_error(error) from error
            except ValueError as error:
                raise DataError(self._place, f"is not an address that can be read ({error})") from error
            self._storage = (os.getpid(), system)
        return system
