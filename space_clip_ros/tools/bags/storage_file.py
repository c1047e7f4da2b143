"""Recognises a bag's storage file by its first and last bytes, and says why one cannot be read."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from shlex import quote

from space_clip_ros.errors import DataError
from space_clip_ros.files import reading, refuse_lfs_pointer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STORAGES_BY_SUFFIX = {".mcap": "mcap", ".db3": "sqlite3"}
ZSTD_SUFFIXES = (".zstd", ".zst")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
COPY_AGAIN = "copy or download it again"

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_ROS1_MAGIC = b"#ROSBAG V"
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z")
_NAMES = {_MCAP_MAGIC: "an MCAP file", _SQLITE_MAGIC: "an SQLite file", ZSTD_MAGIC: "compressed with zstd"}
_SUFFIXES = {_MCAP_MAGIC: ".mcap", _SQLITE_MAGIC: ".db3", ZSTD_MAGIC: ".zstd"}


def storage_suffix(path: Path) -> str:
    """Return ``.mcap`` or ``.db3``, even if the whole file is compressed; empty for any other file."""
    inner = Path(path.stem) if path.suffix in ZSTD_SUFFIXES else path
    return inner.suffix if inner.suffix in STORAGES_BY_SUFFIX else ""


def check_storage_file(path: Path) -> None:
    """Refuse a file that is not what its name says, or not whole.

    Raises:
        DataError: it is a ROS 1 bag, a Git LFS pointer, empty, cut short, of another format than its suffix says, or
            its last messages lie in a file beside it.
    """
    with reading(path), path.open("rb") as file:
        start = file.read(100)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_MCAP_MAGIC)))
        end = file.read()
    refuse_lfs_pointer(path)
    if path.suffix == ".bag" or start.startswith(_ROS1_MAGIC):
        raise DataError(path, "is a ROS 1 bag", convert_ros1(path))
    if not size:
        reason = "is empty: the recorder was killed before it wrote anything, or the copy failed"
        raise DataError(path, reason, "copy it again, or remove it")
    suffix = ".zstd" if path.suffix in ZSTD_SUFFIXES else path.suffix
    real = next((magic for magic in _SUFFIXES if start.startswith(magic)), None)
    if real is None:
        reason = f"is not the {suffix} file its name says" if suffix in _SUFFIXES.values() else "is not a bag"
        remedy = "unpack it" if path.suffix in _ARCHIVES else "give a rosbag2 folder or an .mcap or .db3 file"
        raise DataError(path, reason, remedy)
    if _SUFFIXES[real] != suffix:
        name = f"{path.name}.zstd" if real == ZSTD_MAGIC else f"{path.stem}{_SUFFIXES[real]}"
        raise DataError(path, f"is {_NAMES[real]}", f"rename it to {name}")
    if real == _MCAP_MAGIC:
        _check_mcap(path, start, end)
    elif real == _SQLITE_MAGIC:
        _check_sqlite(path, start, size)


def convert_ros1(bag: Path) -> str:
    """Return the remedy for a ROS 1 bag: the command that converts it."""
    return f"convert it: `rosbags-convert --src {quote(str(bag))} --dst {quote(bag.stem + '_ros2')}`"


def recover_mcap(file: Path) -> str:
    """Return the remedy for an MCAP file that ends early: the command that saves what is in it."""
    return f"`mcap recover {quote(str(file))} -o recovered.mcap` saves what is there"


def is_no_sqlite_path(path: Path) -> bool:
    """Return whether the library, which turns the path of an SQLite file into a URI, would open another file."""
    return not set("?#%").isdisjoint(str(path))


def decompressed(path: Path, folder: Path) -> Path:
    """Decompress a file that is compressed as a whole into a folder, and return the new file.

    Raises:
        DataError: it is damaged or cut short, or there is no room.
    """
    target = folder / path.stem
    try:
        with zstd.open(path, "rb") as packed, target.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    except OSError as error:
        raise DataError(
            path,
            f"cannot be decompressed into {folder} ({error.strerror or error})",
            "set TMPDIR to a folder with more space",
        ) from error
    except (zstd.ZstdError, EOFError) as error:
        raise DataError(path, f"is damaged or cut short ({error})", COPY_AGAIN) from error
    return target


def message_bytes(data: bytes) -> bytes:
    """Return a stored message as CDR: decompressed, if the recorder compressed each message.

    CDR begins with a zero byte and zstd does not.

    Raises:
        zstd.ZstdError: it is damaged.
    """
    return zstd.decompress(data) if data[:4] == ZSTD_MAGIC else bytes(data)


def _check_mcap(path: Path, start: bytes, end: bytes) -> None:
    # In a very short file, the magic bytes at both ends may be the same bytes.
    if end != _MCAP_MAGIC or len(start) < 2 * len(_MCAP_MAGIC):
        raise DataError(
            path,
            "ends early: the recorder was killed, still records, or the copy is incomplete",
            recover_mcap(path),
        )
    # A header record follows: its opcode, its length, then the profile's length and the profile.
    length = int.from_bytes(start[17:21], "little")
    profile = start[21 : 21 + length].decode(errors="replace")
    if profile == "ros1":
        raise DataError(path, "holds messages of ROS 1 (profile ros1)", "convert its .bag with `rosbags-convert`")
    if profile != "ros2":
        raise DataError(
            path, f"has the profile {profile!r} instead of 'ros2'", "write it again with `ros2 bag convert`"
        )


def _check_sqlite(path: Path, start: bytes, size: int) -> None:
    name = quote(str(path))
    side_files = {ending: path.with_name(path.name + ending) for ending in ("-wal", "-journal")}
    if _starts(side_files["-wal"]):
        raise DataError(
            path,
            f"its last messages lie in {side_files['-wal'].name}: the recorder was killed, or still records",
            f'`sqlite3 {name} "PRAGMA wal_checkpoint(TRUNCATE)"` brings them in',
        )
    if _starts(side_files["-journal"]).startswith(_JOURNAL_MAGIC):
        raise DataError(
            path,
            f"was left in the middle of a write ({side_files['-journal'].name}): the recorder was killed, "
            "or still records",
            f'`sqlite3 {name} "PRAGMA integrity_check"` undoes that write',
        )
    # https://www.sqlite.org/fileformat.html, 1.3: page size, and the number of pages if it is kept up to date.
    page_bytes, pages = int.from_bytes(start[16:18], "big"), int.from_bytes(start[28:32], "big")
    expected = (65536 if page_bytes == 1 else page_bytes) * (pages if start[24:28] == start[92:96] else 0)
    if size < expected:
        raise DataError(
            path,
            f"ends early, after {size} of {expected} bytes: the copy is incomplete or the disk was full",
            f"{COPY_AGAIN}; `sqlite3 {name} .recover | sqlite3 recovered.db3` saves what is there",
        )


def _starts(path: Path) -> bytes:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_JOURNAL_MAGIC))
    return b""
