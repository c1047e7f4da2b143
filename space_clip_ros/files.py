"""Reads and writes files, computes checksums, and finds the package's installed files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import site
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from space_clip_ros.errors import DataError, SpaceClipError

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
"""Start of the text that stands in place of a large file until Git LFS has fetched it."""

_PACKAGE = "space_clip_ros"
_CHUNK = 1 << 20
_LONG_NAME = 200


@contextlib.contextmanager
def written_whole(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yield the path of a draft to write to, and rename the draft to ``path`` once the block succeeds.

    So nobody ever reads half a file. The draft is a hidden file beside ``path`` with the same suffix, and is removed if
    the block fails. The file gets the permissions that the umask gives to new files, whoever wrote the draft.

    Args:
        path: the file; its folder is made if it does not exist.
        durable: wait until the file is on the disk, so that it survives a power cut.

    Raises:
        DataError: the file cannot be written.
    """
    # A name may be as long as the system allows, and the draft's is longer.
    stem = path.stem if len(os.fsencode(path.name)) < _LONG_NAME else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    draft = path.with_name(f".{stem}.{os.getpid()}.{threading.get_ident()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.chmod(0o666 & ~_umask())
        if durable:
            synchronise(draft)
        draft.replace(path)
        if durable:
            synchronise(path.parent)
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        raise DataError(path, reason, "check the folder and the space left") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def write_whole(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file through a draft, as :func:`written_whole` does.

    Raises:
        DataError: the file cannot be written.
    """
    with written_whole(path, durable) as draft:
        draft.write_bytes(data)


def write_json(path: Path, value: object, indent: int | None = 2, durable: bool = False) -> None:
    """Write a value as a JSON file, as :func:`write_whole` does.

    Raises:
        DataError: the file cannot be written.
    """
    write_whole(path, f"{json.dumps(value, indent=indent)}\n".encode(), durable)


@contextlib.contextmanager
def reading(path: object, error: type[SpaceClipError] = DataError, remedy: str = "") -> Iterator[None]:
    """Raise ``error`` about ``path`` if the block, which reads it, fails with an ``OSError``."""
    try:
        yield
    except OSError as failure:
        raise error(path, f"cannot be read ({failure.strerror or failure})", remedy) from failure


def made_folder(path: Path) -> Path:
    """Return a folder, and make it and those above it if they do not exist.

    Raises:
        DataError: it cannot be made, or not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        file = next(part for part in (path, *path.parents) if part.exists() and not part.is_dir())
        raise DataError(file, "is a file, and results need a folder there", "give another folder") from error
    except OSError as error:
        reason = f"this folder cannot be made ({error.strerror or error})"
        raise DataError(path, reason, "give another folder") from error
    if not os.access(path, os.W_OK, effective_ids=True):
        raise DataError(path, "this folder cannot be written to", "give another folder, or change its permissions")
    return path


def check_output_folder(folder: Path) -> None:
    """Check before long work that a folder is there or can be made, and can be written to; nothing is left behind.

    Raises:
        DataError: it cannot.
    """
    _check_writable(folder, folder)


def check_output_files(*files: Path | None) -> None:
    """Check before long work that files can be written; nothing is left behind, and None stands for no file.

    Raises:
        DataError: one cannot, or is a folder.
    """
    for file in filter(None, files):
        if file.is_dir():
            raise DataError(file, "is a folder, and a file is to be written", "give a file's name in it")
        _check_writable(file, file.parent)


def _check_writable(path: Path, folder: Path) -> None:
    """Raise an error about ``path`` if a file cannot be made in ``folder``, or in the first one above that exists."""
    folder = folder.expanduser().absolute()
    try:
        folder = next(part for part in (folder, *folder.parents) if part.exists())
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        raise DataError(path, reason, f"give another place, or check {folder}") from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def refuse_lfs_pointer(path: Path, error: type[SpaceClipError] = DataError) -> None:
    """Raise ``error`` if a file is a Git LFS pointer; a file that cannot be read passes, and fails when it is read."""
    try:
        with path.open("rb") as file:
            start = file.read(len(LFS_POINTER))
    except OSError:
        return
    if start == LFS_POINTER:
        raise error(path, "is a Git LFS pointer, not the file itself", "run `git lfs pull` in its repository")


def share_folders(package: str = _PACKAGE) -> list[Path]:
    """Return the folders that may hold the shared files of a ROS package, in the order to search them.

    These are ``share/PACKAGE`` of every prefix in ``AMENT_PREFIX_PATH``, the source tree (only for this package), and
    ``share/PACKAGE`` of the places where pip puts files: Python's own prefix, Debian's ``/usr/local`` and the user's
    ``~/.local``. They need not exist.
    """
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    source_tree = [Path(__file__).resolve().parents[1]] if package == _PACKAGE else []
    pip = dict.fromkeys((sys.prefix, sysconfig.get_path("data"), site.getuserbase()))
    share = [[Path(prefix) / "share" / package for prefix in places] for places in (prefixes, pip)]
    return [*share[0], *source_tree, *share[1]]


def shared_file(name: str) -> Path:
    """Return a file that this package ships, such as ``config/fastdds.xml``.

    Raises:
        DataError: none of :func:`share_folders` has it.
    """
    folders = share_folders()
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise DataError(name, f"not found in {', '.join(map(str, folders))}", "install the package again")


def synchronise(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # Python can read the umask only by setting it, which disturbs other threads; Linux also shows it in a file.
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
