"""Finds a bag's topics of colour images, and the ``camera_info`` and outputs of each."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from space_clip_ros.errors import DataError, InputError
from space_clip_ros.messages.outputs import TOPICS
from space_clip_ros.tools.bags.reader import BagReader, Topic

_IMAGE = "sensor_msgs/msg/Image"
_COMPRESSED = "sensor_msgs/msg/CompressedImage"
_DEPTH_ENCODINGS = ("32FC1", "16UC1")
_OUTPUTS = tuple(f"/{output.topic}" for output in TOPICS.values())


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
        """Its message type, such as ``sensor_msgs/msg/Image``."""
        return _COMPRESSED if self.compressed else _IMAGE

    @property
    def namespace(self) -> str:
        """The topic's namespace, with a slash at the end; its ``camera_info`` and outputs are in it, too."""
        base = self.name.removesuffix("/compressed") if self.compressed else self.name
        return f"{base.rpartition('/')[0]}/"

    @property
    def info(self) -> str:
        """The topic of its ``camera_info``, in the same namespace, as ``image_transport`` expects it."""
        return f"{self.namespace}camera_info"


def image_topics(bag: BagReader) -> list[ImageTopic]:
    """Return a bag's topics that hold colour images; depth and this package's outputs, of the same type, are not."""
    return [
        ImageTopic(topic.name, topic.kind == _COMPRESSED) for topic in bag.topics.values() if _has_colour(bag, topic)
    ]


def choose_images(bag: BagReader, names: Sequence[str] = ()) -> list[ImageTopic]:
    """Return the image topics with these names; without names, the bag's only image topic.

    Raises:
        DataError: the bag has no colour images.
        InputError: a name is not one of the image topics, two are in one namespace, or there are several topics and no
            name is given.
    """
    topics = {topic.name: topic for topic in image_topics(bag)}
    if not topics:
        raise DataError(bag.path, "has no topic of colour images", f"it has {', '.join(bag.topics)}")
    listed = ", ".join(topics)
    if not names and len(topics) > 1:
        raise InputError(bag.path, f"has several image topics, {listed}", "choose one with --image")
    wanted = [name if name.startswith("/") else f"/{name}" for name in names] or list(topics)
    missing = [name for name in wanted if name not in topics]
    if missing:
        raise InputError(bag.path, f"has no colour images on {', '.join(missing)}", f"it has them on {listed}")
    chosen = [topics[name] for name in dict.fromkeys(wanted)]
    for namespace in dict.fromkeys(topic.namespace for topic in chosen):
        names_there = [topic.name for topic in chosen if topic.namespace == namespace]
        if len(names_there) > 1:
            raise InputError(
                bag.path,
                f"depth of {', '.join(names_there)} would have the same topics, {namespace}depth/...",
                "choose one",
            )
    return chosen


def _has_colour(bag: BagReader, topic: Topic) -> bool:
    if topic.kind not in (_IMAGE, _COMPRESSED) or not topic.count or topic.name.endswith("/compressedDepth"):
        return False
    if topic.name.removesuffix("/compressed").endswith(_OUTPUTS):
        return False
    for _, _, data in bag.messages([topic.name]):
        # A damaged image says nothing about its topic; damaged images are counted later.
        with contextlib.suppress(DataError):
            message = bag.decode(topic.name, data)
            encoding = message.format.partition(";")[0] if topic.kind == _COMPRESSED else message.encoding
            return encoding.strip() not in _DEPTH_ENCODINGS
    return True
