"""Read rosbag2 folders, and single .mcap and .db3 files, without rosbag2."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from rosbags.interfaces import Connection, ConnectionExtRosbag2, Qos
from rosbags.rosbag2 import Reader

from space_clip_ros.errors import DataError
from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.tools.bags.definitions import Definition, known_definition

# The type hash of a type whose hash is not known.
_NO_HASH = f"RIHS01_{64 * '0'}"


@dataclass(frozen=True)
class Topic:
    """One topic of a bag.

    Attributes:
        name: its full name.
        kind: message type, such as ``sensor_msgs/msg/Image``.
        count: number of messages.
        offered: the QoS profiles of its publishers, if they were recorded.
        definition: of its type; its text is empty if the bag has none and the type is not one of ROS's own.
    """

    name: str
    kind: str
    count: int
    offered: tuple[Qos, ...]
    definition: Definition


class BagReader:
    """Reads a bag; a context manager.

    Args:
        path: a rosbag2 folder (MCAP or SQLite3, compressed or not), or one .mcap or .db3 file.

    Attributes:
        path: the same.
        topics: its topics by name.
        start_ns: stamp of the first message, nanoseconds since 1970.
        end_ns: stamp of the last message.

    Raises:
        DataError: on entering, if it is missing, is not a bag, is damaged, or is empty.
    """

    def __init__(self, path: str | Path) -> None:
        """Keep the path; the bag is opened on entering."""
        self.path = Path(path).expanduser()
        self.topics: dict[str, Topic] = {}
        self.start_ns = self.end_ns = 0

    def __enter__(self) -> BagReader:
        """Open the bag and list its topics."""
        if not self.path.exists():
            raise DataError(self.path, "no such bag", "give a rosbag2 folder or an .mcap or .db3 file")
        if self.path.is_dir() and not (self.path / "metadata.yaml").is_file():
            raise DataError(self.path, "is not a rosbag2 folder (no metadata.yaml)", "give an .mcap file in it")
        with self._guard():
            self._reader = Reader(self.path)
            self._reader.open()
        try:
            self._describe()
        except BaseException:
            self._reader.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bag."""
        self._reader.close()

    @property
    def storage(self) -> str:
        """``mcap`` or ``sqlite3``."""
        files = self.path.iterdir() if self.path.is_dir() else [self.path]
        return "sqlite3" if any(".db3" in file.suffixes for file in files) else "mcap"

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
        wanted: list[Connection] = [connection for connection in self._reader.connections if connection.topic in topics]
        if not wanted:
            return
        with self._guard():
            for connection, stamp, data in self._reader.messages(wanted, start_ns, stop_ns):
                yield connection.topic, stamp, bytes(data)

    def decode(self, topic: str, data: bytes) -> Any:
        """Return a message of one of ROS's own types, as a class of :data:`TYPES`.

        Raises:
            DataError: the message is damaged.
        """
        try:
            return TYPES.deserialize_cdr(data, self.topics[topic].kind)
        except Exception as error:
            # The library raises nearly anything here too; see _guard.
            raise DataError(self.path, f"a message of {topic} is damaged ({_reason(error)})") from error

    def _describe(self) -> None:
        for connection in self._reader.connections:
            new = Topic(connection.topic, connection.msgtype, 0, (), _definition(connection))
            known = self.topics.get(connection.topic, new)
            if known.kind != connection.msgtype:
                raise DataError(
                    self.path, f"{connection.topic} has messages of two types, {known.kind} and {connection.msgtype}"
                )
            offered = (*known.offered, *cast(ConnectionExtRosbag2, connection.ext).offered_qos_profiles)
            self.topics[known.name] = replace(known, count=known.count + connection.msgcount, offered=offered)
        if not self._reader.message_count:
            raise DataError(self.path, "holds no messages")
        self.start_ns, self.end_ns = self._reader.start_time, self._reader.end_time - 1

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # A damaged bag makes the library raise nearly anything, not only the errors it documents.
            raise DataError(self.path, f"cannot be read as a bag ({_reason(error)})") from error


def _definition(connection: Connection) -> Definition:
    text, digest = connection.msgdef.data, connection.digest
    if connection.msgtype not in TYPES.fielddefs:
        return Definition(text, digest or _NO_HASH)
    known = known_definition(connection.msgtype)
    return Definition(text or known.text, digest or known.type_hash)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
