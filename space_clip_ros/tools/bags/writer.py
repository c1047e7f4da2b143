"""Writes rosbag2 folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.rosbag2.storage_mcap import McapWriter

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.tools.bags.definitions import Definition, known_definition
from space_clip_ros.tools.bags.options import STORAGES
from space_clip_ros.tools.bags.storage_file import is_no_sqlite_path, recover_mcap

# The newest metadata version whose QoS profiles Humble can read; newer releases read every older version.
_VERSION: Literal[8] = 8


class BagWriter:
    """Writes a bag into a hidden folder beside it, and moves it into place once it is complete; a context manager.

    After an error or Ctrl-C nothing is left; the next run replaces what a killed run left. MCAP is compressed in chunks
    (zstd), which rosbag2 since Humble, Foxglove and PlotJuggler read.

    Args:
        path: the bag's folder, which must not exist yet; its parent folders are created.
        storage: ``mcap`` or ``sqlite3``.
        keep: leave the unfinished file in ``path`` if it cannot be written to its end, because its messages cannot be
            made again; for MCAP.
        note: text to keep with the bag, as ``custom_data.note`` of its metadata.

    Attributes:
        path: the bag's folder.
        counts: number of messages written so far, by topic.

    Raises:
        InputError: an unknown storage, a path without a name, or one that the storage cannot use.
        DataError: on entering, if ``path`` exists, is being written by another process, or cannot be written; on
            leaving, if the bag cannot be finished.
    """

    def __init__(self, path: str | Path, storage: str = STORAGES[0], keep: bool = False, note: str = "") -> None:
        """Check the arguments; nothing is created before entering."""
        if storage not in STORAGES:
            raise InputError("storage", f"must be {' or '.join(STORAGES)}, got {storage!r}")
        self.path = Path(path).expanduser().absolute()
        if not self.path.name:
            raise InputError(path, "cannot be a bag, which needs a folder of its own")
        if storage == "sqlite3" and is_no_sqlite_path(self.path):
            raise InputError(
                path, "contains ?, # or %, which makes SQLite write elsewhere", "choose another name, or MCAP"
            )
        self.counts: dict[str, int] = {}
        self._storage = storage
        self._keep = keep
        self._note = note
        self._failure: DataError | None = None
        # Not written_whole of files.py: a bag is a folder, and its draft is locked while it is written.
        self._draft = self.path.with_name(f".{self.path.name}.part")
        self._connections: dict[str, Connection] = {}
        self._disk = ThreadPoolExecutor(1)
        self._synchronised: Future[None] | None = None

    def __enter__(self) -> BagWriter:
        """Create the hidden folder and the bag in it."""
        if self.path.exists():
            raise DataError(self.path, "exists already", "remove it or choose another folder")
        with self._guard():
            self._lock = claim_folder(self._draft, self.path)
            try:
                self._open()
            except BaseException:
                self._discard()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the bag and move it into place, or remove it after an error."""
        try:
            if kind is None:
                self._finish()
            else:
                self._abort()
        finally:
            self._disk.shutdown(wait=False)
            self._discard()

    @property
    def size(self) -> int:
        """Size of the bag's files so far, bytes; data still in memory is not counted."""
        return sum(file.stat().st_size for file in (self._draft / self.path.name).iterdir())

    def add(self, topic: str, kind: str, qos: Qos | Sequence[Qos], definition: Definition | None = None) -> None:
        """Declare a topic.

        Args:
            topic: its full name.
            kind: message type, such as ``sensor_msgs/msg/Image``.
            qos: the QoS of its publisher, or of each of its publishers.
            definition: of the type; may be left out for ROS's own types.

        Raises:
            InputError: the type is not one of ROS's own and has no definition.
        """
        if definition is None:
            if kind not in TYPES.fielddefs:
                raise InputError(topic, f"the definition of {kind} is not known")
            definition = known_definition(kind)
        offered = [qos] if isinstance(qos, Qos) else list(qos)
        with self._guard():
            self._connections[topic] = self._writer.add_connection(
                topic, kind, msgdef=definition.text, rihs01=definition.type_hash, offered_qos_profiles=offered
            )
        self.counts[topic] = 0

    def write(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Write a message of a declared topic.

        Args:
            topic: its topic.
            stamp_ns: its time in the bag, nanoseconds since 1970.
            message: of a class of :data:`TYPES`.

        Raises:
            DataError: it cannot be written, for example because the disk is full.
        """
        self.write_serialized(topic, stamp_ns, TYPES.serialize_cdr(message, self._connections[topic].msgtype))

    def write_serialized(self, topic: str, stamp_ns: int, data: bytes | memoryview) -> None:
        """Write a message given as CDR; see :meth:`write`."""
        with self._guard():
            self._writer.write(self._connections[topic], stamp_ns, data)
        self.counts[topic] += 1

    def flush(self) -> None:
        """Send what has been written so far to the disk, so that no power cut takes it; for MCAP.

        The disk is not waited for: a slow one is given more once it has taken what came before.

        Raises:
            DataError: it cannot be written.
        """
        storage = self._writer.storage
        with self._guard():
            if isinstance(storage, McapWriter) and storage.chunk.msgs:
                storage.close_chunk()
                storage.bio.flush()
                if self._synchronised is None or self._synchronised.done():
                    if self._synchronised is not None:
                        self._synchronised.result()
                    self._synchronised = self._disk.submit(_synchronise, os.dup(storage.bio.fileno()))

    def _open(self) -> None:
        # rosbag2 names the files after their folder, so the folder inside the draft has the final name.
        folder = self._draft / self.path.name
        self._writer = Writer(folder, version=_VERSION, storage_plugin=StoragePlugin[self._storage.upper()])
        if self._storage == "mcap":
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        if self._note:
            self._writer.set_custom_data("note", self._note)
        self._writer.open()

    def _finish(self) -> None:
        try:
            if self._failure is not None:
                # A failed write leaves a part of itself, so that the file cannot be continued.
                raise self._failure
            with self._guard():
                self._writer.__exit__(None, None, None)
                self._move()
        except DataError as error:
            self._abort()
            if not self._keep:
                raise
            with self._guard():
                self._move()
            file = self.path / f"{self.path.name}.mcap"
            raise DataError(file, "ends early, but holds what could be written", recover_mcap(file)) from error

    def _move(self) -> None:
        (self._draft / self.path.name).rename(self.path)

    def _abort(self) -> None:
        with contextlib.suppress(Exception):
            self._writer.abort()

    def _discard(self) -> None:
        shutil.rmtree(self._draft, ignore_errors=True)
        os.close(self._lock)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (OSError, WriterError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._failure = DataError(self.path, f"cannot be written ({reason})")
            raise self._failure from error


def _synchronise(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def claim_folder(folder: Path, result: Path) -> int:
    """Do as :func:`lock_folder` does, and empty the folder of what a killed run left."""
    lock = lock_folder(folder, result)
    for left in folder.iterdir():
        shutil.rmtree(left)
    return lock


def lock_folder(folder: Path, result: Path) -> int:
    """Make and lock the hidden folder in which ``result`` is made; the lock ends with the process, however that ends.

    Returns:
        A file descriptor; closing it ends the lock.

    Raises:
        DataError: another process holds the lock.
        OSError: the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise DataError(result, "is being written by another process", "wait for it or stop it") from error
    return lock
