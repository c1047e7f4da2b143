"""Folders of bags in object storage, through fsspec."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from space_clip_ros.errors import DataError, one_line
from space_clip_ros.libraries import import_error
from space_clip_ros.tools.bags.bag_folder import METADATA

_URL = re.compile(r"[a-z][a-z0-9+.-]+://")


def is_url(place: str) -> bool:
    """Return whether a place is an address such as ``s3://bucket/bags``, not a path."""
    return _URL.match(place) is not None


def join(place: str, *names: str) -> str:
    """Return the path or address of something below a folder."""
    return "/".join([place.rstrip("/"), *names]) if is_url(place) else str(Path(place, *names))


class Storage:
    """The files below an address.

    Args:
        address: of a folder or file, such as ``s3://bucket/bags``.

    Raises:
        LibraryError: fsspec, or what it needs for this kind of address, is not installed.
        DataError: the address is of no known kind.
    """

    def __init__(self, address: str) -> None:
        """Find the file system."""
        self.address = address.rstrip("/")
        self._scheme = address.partition("://")[0]
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(self.address)
        except ImportError as error:
            raise import_error(error) from error
        except ValueError as error:
            raise DataError(address, f"is not an address that can be read ({error})") from error

    def files(self) -> list[str]:
        """Return the addresses of all files below the folder, sorted; of a file, its own.

        Raises:
            DataError: there are no files, or they cannot be read.
        """
        with self._guard(self.address):
            paths = sorted(self._files.find(self._root))
        if not paths:
            raise DataError(self.address, "has no files")
        return [self._address(path) for path in paths]

    def exists(self, address: str) -> bool:
        """Return whether there is a file with this address."""
        with self._guard(address):
            return bool(self._files.exists(self._path(address)))

    def fetch(self, address: str, target: Path) -> None:
        """Copy a file, or a folder with all files in it, to a path.

        Raises:
            DataError: it cannot be read or written.
        """
        with self._guard(address):
            for path in self._files.find(self._path(address)):
                relative = PurePosixPath(path).relative_to(self._path(address))
                local = target.joinpath(*relative.parts)
                local.parent.mkdir(parents=True, exist_ok=True)
                self._files.get_file(path, str(local))

    def put(self, folder: Path, address: str) -> None:
        """Copy a folder's files to an address; the file that marks them as complete goes last.

        Raises:
            DataError: they cannot be read or written.
        """
        files = sorted(folder.rglob("*"), key=lambda file: (file.name == METADATA, file))
        with self._guard(address):
            for file in files:
                if file.is_file():
                    target = f"{self._path(address)}/{file.relative_to(folder).as_posix()}"
                    self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
                    self._files.put_file(str(file), target)

    def read(self, address: str) -> bytes | None:
        """Return a file's content, or None if there is no such file.

        Raises:
            DataError: it cannot be read.
        """
        with self._guard(address):
            path = self._path(address)
            return bytes(self._files.cat_file(path)) if self._files.exists(path) else None

    def write(self, address: str, data: bytes) -> None:
        """Write a file.

        Raises:
            DataError: it cannot be written.
        """
        with self._guard(address):
            path = self._path(address)
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)

    def _path(self, address: str) -> str:
        return str(self._files._strip_protocol(address)).rstrip("/")

    def _address(self, path: str) -> str:
        return f"{self.address}{path.removeprefix(self._root)}"

    @contextlib.contextmanager
    def _guard(self, address: str) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except Exception as error:
            # Every provider's library has its own errors.
            reason = getattr(error, "strerror", None) or one_line(error)
            raise DataError(
                address, f"cannot be read or written ({reason})", "check address and credentials"
            ) from error
