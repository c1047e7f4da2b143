"""The cameras of a bag: which topics hold colour images, and where what belongs to each of them lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.tools.bags.reader import BagReader, Topic

_IMAGE = "sensor_msgs/msg/Image"
_COMPRESSED = "sensor_msgs/msg/CompressedImage"
_DEPTH_ENCODINGS = ("32FC1", "16UC1")


@dataclass(frozen=True)
class ImageTopic:
    """A topic of colour images.

    Attributes:
        name: its full name.
        compressed: whether it holds ``CompressedImage``.
    """

    name: str
    compressed: bool

    @property
    def kind(self) -> str:
        """Its message type."""
        return _COMPRESSED if self.compressed else _IMAGE

    @property
    def namespace(self) -> str:
        """What the names of everything beside it begin with, ending in a slash."""
        base = self.name.removesuffix("/compressed") if self.compressed else self.name
        return f"{base.rpartition('/')[0]}/"

    @property
    def info(self) -> str:
        """The topic of its ``camera_info``, which lies beside it (as ``image_transport`` has it)."""
        return f"{self.namespace}camera_info"


def image_topics(bag: BagReader) -> list[ImageTopic]:
    """Return a bag's topics of colour images that hold any; depth images are of the same type, and left out."""
    return [ImageTopic(topic.name, topic.kind == _COMPRESSED) for topic in bag.topics.values() if _colour(bag, topic)]


def choose_images(bag: BagReader, names: Sequence[str] = ()) -> list[ImageTopic]:
    """Return the image topics of these names, or the only one there is.

    Raises:
        DataError: the bag has no colour images.
        InputError: a name that is not one of its image topics, two of one namespace, or several topics and no name.
    """
    found = {topic.name: topic for topic in image_topics(bag)}
    if not found:
        raise DataError(f"{bag.path}: has no topic of colour images; it has {', '.join(bag.topics)}")
    listed = ", ".join(found)
    if not names and len(found) > 1:
        raise InputError(f"{bag.path}: has several image topics, {listed}; say which with --image")
    wanted = [name if name.startswith("/") else f"/{name}" for name in names] or list(found)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(f"{bag.path}: has no colour images on {', '.join(missing)}; it has them on {listed}")
    chosen = [found[name] for name in dict.fromkeys(wanted)]
    spaces = [topic.namespace for topic in chosen]
    for space in spaces:
        if spaces.count(space) > 1:
            rivals = ", ".join(topic.name for topic in chosen if topic.namespace == space)
            raise InputError(f"{bag.path}: depth of {rivals} would have the same topics, {space}depth/...; choose one")
    return chosen


def _colour(bag: BagReader, topic: Topic) -> bool:
    if topic.kind == _COMPRESSED:
        return bool(topic.count) and not topic.name.endswith("/compressedDepth")
    if topic.kind != _IMAGE or not topic.count:
        return False
    _, _, data = next(bag.messages([topic.name]))
    return bag.decode(topic.name, data).encoding not in _DEPTH_ENCODINGS
