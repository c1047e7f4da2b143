"""Writing rosbag2 folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.tools.bags.options import STORAGES

# Humble reads QoS profiles in this version's form, and newer releases read every older one.
_VERSION: Literal[8] = 8


class Definition(NamedTuple):
    """A message type's full text, with all it is made of, and its hash (REP 2016)."""

    text: str
    type_hash: str


def known_definition(kind: str) -> Definition:
    """Return the definition of one of ROS's own types, which :data:`TYPES` must have."""
    return Definition(TYPES.generate_msgdef(kind, ros_version=2)[0], TYPES.hash_rihs01(kind))


class BagWriter:
    """Writes a bag through a hidden folder beside it, which is renamed once the bag is whole; a context manager.

    After an error, Ctrl-C included, nothing is left; what a killed run left behind is replaced by the next one. MCAP
    is compressed in chunks (zstd), which rosbag2 since Humble, Foxglove and PlotJuggler read.

    Args:
        path: the bag's folder, which must not exist yet; folders above it are made.
        storage: ``mcap`` or ``sqlite3``.

    Attributes:
        path: the bag's folder.
        counts: messages written so far, by topic.

    Raises:
        InputError: another storage, or a path without a name.
        DataError: ``path`` exists, is being written by another process, or cannot be written; on entering.
    """

    def __init__(self, path: str | Path, storage: str = STORAGES[0]) -> None:
        """Remember where to write; nothing is made before entering."""
        if storage not in STORAGES:
            raise InputError(f"storage must be {' or '.join(STORAGES)}, got {storage!r}")
        self.path = Path(path).expanduser().absolute()
        if not self.path.name:
            raise InputError(f"a bag needs a folder of its own, got {path}")
        self.counts: dict[str, int] = {}
        self._storage = storage
        self._draft = self.path.with_name(f".{self.path.name}.part")
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        """Open the hidden folder."""
        if self.path.exists():
            raise DataError(f"{self.path}: exists already; remove it or choose another folder")
        with self._guard():
            self._lock = self._claim()
            try:
                self._open()
            except BaseException:
                self._discard()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the bag and give it its name, or remove what was written if there was an error."""
        try:
            if kind is None:
                with self._guard():
                    self._writer.__exit__(None, None, None)
                    (self._draft / self.path.name).rename(self.path)
            else:
                with contextlib.suppress(Exception):
                    self._writer.__exit__(kind, error, trace)
        finally:
            self._discard()

    @property
    def size(self) -> int:
        """Bytes that its files take so far; what is still in memory does not count."""
        return sum(file.stat().st_size for file in (self._draft / self.path.name).iterdir())

    def add(self, topic: str, kind: str, qos: Qos | Sequence[Qos], definition: Definition | None = None) -> None:
        """Declare a topic.

        Args:
            topic: its full name.
            kind: message type, such as ``sensor_msgs/msg/Image``.
            qos: what its publisher offers, or each of them.
            definition: of the type; may be left out for ROS's own types.

        Raises:
            InputError: the type is not one of ROS's own and has no definition.
        """
        if definition is None:
            if kind not in TYPES.fielddefs:
                raise InputError(f"{topic}: the definition of {kind} is not known")
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
            stamp_ns: when it is to be played, nanoseconds since 1970.
            message: one of :data:`TYPES`.

        Raises:
            DataError: it cannot be written, mostly for want of room on the disk.
        """
        self.write_serialized(topic, stamp_ns, TYPES.serialize_cdr(message, self._connections[topic].msgtype))

    def write_serialized(self, topic: str, stamp_ns: int, data: bytes | memoryview) -> None:
        """Write a message that is CDR already; see :meth:`write`."""
        with self._guard():
            self._writer.write(self._connections[topic], stamp_ns, data)
        self.counts[topic] += 1

    def _open(self) -> None:
        # The files inside are named after their folder, so it has its final name from the start.
        folder = self._draft / self.path.name
        self._writer = Writer(folder, version=_VERSION, storage_plugin=StoragePlugin[self._storage.upper()])
        if self._storage == "mcap":
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()

    def _claim(self) -> int:
        """Make the hidden folder, empty, and lock it."""
        self._draft.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(self._draft, self.path)
        for left in self._draft.iterdir():
            shutil.rmtree(left)
        return lock

    def _discard(self) -> None:
        shutil.rmtree(self._draft, ignore_errors=True)
        os.close(self._lock)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (OSError, WriterError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{self.path}: cannot be written ({reason})") from error


def lock_folder(folder: Path, result: Path) -> int:
    """Lock the hidden folder that ``result`` is made in; the lock ends with the process, however it ends.

    Returns:
        What to close to end the lock earlier.

    Raises:
        DataError: another process holds it.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise DataError(f"{result}: is being written by another process; wait for it or stop it") from error
    return lock
