"""Reads rosbag2 folders, and single .mcap and .db3 files, without rosbag2."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, cast

from rosbags.interfaces import Connection, ConnectionExtRosbag2, Qos
from rosbags.rosbag2 import Reader

from space_clip_ros.errors import DataError, one_line
from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.tools.bags.bag_folder import METADATA, BagFolder, find_files
from space_clip_ros.tools.bags.definitions import Definition, known_definition
from space_clip_ros.tools.bags.storage_file import (
    COPY_AGAIN,
    STORAGES_BY_SUFFIX,
    ZSTD_SUFFIXES,
    check_storage_file,
    decompressed,
    is_no_sqlite_path,
    message_bytes,
    storage_suffix,
)

# Stands for an unknown type hash.
_NO_HASH = f"RIHS01_{64 * '0'}"
_ENCODING = "cdr"
# Schema encodings of an MCAP file that also holds messages from outside ROS 2 (https://mcap.dev/spec/registry).
_NON_ROS_SCHEMAS = ("protobuf", "flatbuffer", "jsonschema", "ros1msg", "omgidl")


@dataclass(frozen=True)
class Topic:
    """One topic of a bag.

    Attributes:
        name: its full name.
        kind: message type, such as ``sensor_msgs/msg/Image``.
        count: number of messages.
        offered: the QoS profiles of its publishers, if they were recorded.
        definition: definition of its type; empty if the bag has none and the type is not one of ROS's own.
    """

    name: str
    kind: str
    count: int
    offered: tuple[Qos, ...]
    definition: Definition


class BagReader:
    """Reads a bag; a context manager.

    Each file is read by itself, and ``metadata.yaml`` says only which files there are and which QoS their topics have:
    people edit it, and recorders that are killed do not write it.

    Args:
        path: a rosbag2 folder (MCAP or SQLite3, compressed or not, with or without ``metadata.yaml``), or one storage
            file.

    Attributes:
        path: the same.
        topics: its topics by name.
        start_ns: stamp of the first message, nanoseconds since 1970.
        end_ns: stamp of the last message.
        storage: ``mcap`` or ``sqlite3``.
        notes: what is unusual about the bag but acceptable, one sentence each.

    Raises:
        DataError: on entering, if it is missing, not a bag, damaged, incomplete or empty.
    """

    def __init__(self, path: str | Path) -> None:
        """Keep the path; the bag is opened on entering."""
        self.path = Path(path).expanduser()
        self.topics: dict[str, Topic] = {}
        self.start_ns = self.end_ns = 0
        self.storage = ""
        self.notes: tuple[str, ...] = ()
        self._readers: list[Reader] = []
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> BagReader:
        """Open the bag and list its topics."""
        folder = find_files(self.path)
        with contextlib.ExitStack() as opened:
            readers = [self._open(file, opened) for file in folder.files]
            self._readers = sorted(readers, key=lambda reader: reader.start_time)
            self.storage = STORAGES_BY_SUFFIX[storage_suffix(folder.files[0])]
            self._describe(folder)
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bag."""
        self._opened.close()

    def messages(
        self, topics: Collection[str], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[tuple[str, int, bytes]]:
        """Yield topic, stamp in nanoseconds and CDR data of each message, in the order of their stamps.

        Args:
            topics: names of the topics to read; unknown names are ignored.
            start_ns: skip earlier messages; None starts at the first one.
            stop_ns: skip messages from this stamp on; None reads to the end.

        Raises:
            DataError: the bag is damaged.
        """
        parts = [self._file_messages(reader, topics, start_ns, stop_ns) for reader in self._readers]
        followed = zip(self._readers, self._readers[1:], strict=False)
        if any(earlier.end_time > later.start_time + 1 for earlier, later in followed):
            yield from heapq.merge(*parts, key=itemgetter(1))
        else:
            for part in parts:
                yield from part

    def decode(self, topic: str, data: bytes) -> Any:
        """Return a message of one of ROS's own types, as a class of :data:`TYPES`.

        Raises:
            DataError: the message is damaged.
        """
        try:
            return TYPES.deserialize_cdr(data, self.topics[topic].kind)
        except Exception as error:
            # The library may raise any exception here too; see _guard.
            raise DataError(self.path, f"a message of {topic} is damaged ({one_line(error)})") from error

    def _open(self, file: Path, opened: contextlib.ExitStack) -> Reader:
        check_storage_file(file)
        stored = file
        if file.suffix in ZSTD_SUFFIXES:
            stored = decompressed(file, _temporary(opened))
            check_storage_file(stored)
        if stored.suffix == ".db3" and is_no_sqlite_path(stored.absolute()):
            link = _temporary(opened) / "bag.db3"
            link.symlink_to(stored.absolute())
            stored = link
        with self._guard(file):
            reader = Reader(stored)
            reader.open()
        opened.callback(reader.close)
        return reader

    def _file_messages(
        self, reader: Reader, topics: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[tuple[str, int, bytes]]:
        wanted: list[Connection] = [connection for connection in reader.connections if connection.topic in topics]
        # The library treats an empty list of connections as all of them.
        if wanted:
            with self._guard(self.path):
                for connection, stamp, data in reader.messages(wanted, start_ns, stop_ns):
                    yield connection.topic, stamp, message_bytes(data)

    def _describe(self, folder: BagFolder) -> None:
        for reader in self._readers:
            for name, topic in self._file_topics(reader).items():
                self._add(name, topic)
        notes = list(folder.notes)
        for name, declared in folder.topics.items():
            self._add(name, Topic(name, declared.kind, 0, (), _known_or_empty(declared.kind)))
            topic = self.topics[name]
            definition = topic.definition._replace(type_hash=declared.type_hash or topic.definition.type_hash)
            offered = topic.offered if declared.offered is None else declared.offered
            self.topics[name] = replace(topic, offered=offered, definition=definition)
            if declared.count > topic.count:
                notes.append(f"{METADATA} counts {declared.count} messages of {name}, its files hold {topic.count}")
        if not sum(topic.count for topic in self.topics.values()):
            raise DataError(self.path, f"holds no messages (topics: {', '.join(self.topics) or 'none'})")
        self.notes = tuple(notes)
        used = [reader for reader in self._readers if reader.message_count]
        self.start_ns, self.end_ns = used[0].start_time, max(reader.end_time for reader in used) - 1

    def _file_topics(self, reader: Reader) -> dict[str, Topic]:
        """Return the topics of one file; a topic with several publishers may have a connection for each."""
        topics: dict[str, Topic] = {}
        for connection in reader.connections:
            name, extra = connection.topic, cast(ConnectionExtRosbag2, connection.ext)
            if extra.serialization_format != _ENCODING:
                raise _not_ros2(self.path, f"messages of {name} are {extra.serialization_format}")
            new = Topic(name, connection.msgtype, 0, (), _definition(connection))
            known = topics.get(name, new)
            self._check_kind(known, new)
            offered = (*known.offered, *extra.offered_qos_profiles)
            topics[name] = replace(known, count=known.count + connection.msgcount, offered=offered)
        return topics

    def _add(self, name: str, new: Topic) -> None:
        """Merge what a file or ``metadata.yaml`` says about a topic into what is known."""
        known = self.topics.get(name)
        if known is None:
            self.topics[name] = new
            return
        self._check_kind(known, new)
        others = tuple(profile for profile in new.offered if profile not in known.offered)
        definition = known.definition if known.definition.text else new.definition
        self.topics[name] = replace(
            known, count=known.count + new.count, offered=known.offered + others, definition=definition
        )

    def _check_kind(self, known: Topic, new: Topic) -> None:
        if known.kind != new.kind:
            raise DataError(self.path, f"{new.name} has messages of two types, {known.kind} and {new.kind}")

    @contextlib.contextmanager
    def _guard(self, path: Path) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if isinstance(error, KeyError) and error.args[0] in _NON_ROS_SCHEMAS:
                raise _not_ros2(path, f"its message definitions are {error.args[0]}") from error
            if isinstance(error, KeyError) and error.args[0] in Qos._fields:
                reason = f"the QoS profiles inside it lack {error.args[0]!r}"
                raise DataError(path, reason, "write it again with `ros2 bag convert`") from error
            # With a damaged bag the library may raise any exception, not only those it documents.
            raise DataError(path, f"cannot be read as a bag ({one_line(error)})", COPY_AGAIN) from error


def _temporary(opened: contextlib.ExitStack) -> Path:
    return Path(opened.enter_context(TemporaryDirectory(prefix="space_clip_bag_")))


def _not_ros2(path: Path, reason: str) -> DataError:
    return DataError(path, f"{reason}, which is not ROS 2's CDR", "leave their topics out with `mcap filter`")


def _definition(connection: Connection) -> Definition:
    known = _known_or_empty(connection.msgtype)
    return Definition(connection.msgdef.data or known.text, connection.digest or known.type_hash)


def _known_or_empty(kind: str) -> Definition:
    return known_definition(kind) if kind in TYPES.fielddefs else Definition("", _NO_HASH)
