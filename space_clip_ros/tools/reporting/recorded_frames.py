"""Frames out of a recording, one at a time: depth with the image and the truth of the same stamp."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.errors import DataError, SpaceClipError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.messages import calibration_from_info
from space_clip_ros.messages.bag_types import TYPES
from space_clip_ros.messages.color_images import image_to_rgb
from space_clip_ros.messages.compressed_images import compressed_to_rgb
from space_clip_ros.messages.images import depth_from_image, stamp_ns
from space_clip_ros.perception.calibration import CalibrationStore, RectifiedView
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.recording import Topics

T = TypeVar("T")
Rgb = NDArray[np.uint8]
Listener = Callable[[str, int, Any], None]
_WAITING = 32
_PARTS = ("image", "depth", "truth")


class Moment(NamedTuple):
    """One frame.

    Attributes:
        stamp_ns: of its image.
        depth: (h, w) float32 metres, NaN invalid.
        image: (H, W, 3) uint8 RGB, rectified as its calibration says, or None.
        truth: (H', W') float32 metres, NaN where unknown, or None.
        camera: that depth's pixels were seen with, of its size, or None.
    """

    stamp_ns: int
    depth: Depth
    image: Rgb | None
    truth: Depth | None
    camera: PinholeCamera | None


class Decoder:
    """Turns a bag's messages into objects and arrays; every error names the topic and the stamp."""

    def __init__(self, bag: BagReader) -> None:
        """``bag`` is open."""
        self._bag = bag

    def message(self, topic: str, data: bytes) -> Any:
        """Return a message's content.

        Raises:
            DataError: the bytes do not fit the topic's type.
        """
        return self._try(topic, lambda: TYPES.deserialize_cdr(data, self._bag.topics[topic].kind))

    def rgb(self, topic: str, message: Any) -> Rgb:
        """Return (H, W, 3) uint8 RGB of a raw or compressed image.

        Raises:
            DataError: the image cannot be decoded.
        """
        read = compressed_to_rgb if hasattr(message, "format") else image_to_rgb
        return self._try(topic, lambda: read(message, topic))

    def depth(self, topic: str, message: Any) -> Depth:
        """Return (H, W) float32 metres, NaN invalid.

        Raises:
            DataError: the image holds no depth or does not hold together.
        """
        return self._try(topic, lambda: depth_from_image(message, topic))

    def _try(self, topic: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except SpaceClipError as error:
            raise DataError(f"{self._bag.path}: {error}") from error
        except Exception as error:
            # The library documents no errors for bytes that do not fit; a damaged bag makes it raise nearly anything.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{self._bag.path}: {topic}: a message cannot be read ({reason})") from error


def read_moments(
    bag: BagReader,
    topics: Topics,
    wanted: Collection[int] | None = None,
    listen: Listener = lambda topic, arrived_ns, message: None,
    also: Collection[str] = (),
) -> Iterator[Moment]:
    """Yield the frames that have depth, one at a time; image and truth are waited for as long as the bag has them.

    Args:
        bag: open.
        topics: what to read.
        wanted: stamps of the frames to yield, nanoseconds; None for all.
        listen: called with each message that is read.
        also: more topics to read, for ``listen`` alone.

    Raises:
        DataError: the bag or a message of these frames is damaged.
    """
    decoder = Decoder(bag)
    roles = {topics.image: "image", topics.depth: "depth", topics.truth: "truth"}
    cameras = _Cameras(topics)
    waiting: OrderedDict[int, dict[str, Any]] = OrderedDict()
    needed = {"depth", *(role for role in _PARTS if getattr(topics, role))}
    names = {name for name in (*roles, topics.camera_info, topics.depth_info, *also) if name}
    for topic, arrived_ns, data in bag.messages(names):
        message = decoder.message(topic, data)
        listen(topic, arrived_ns, message)
        cameras.listen(topic, message)
        if topic not in roles:
            continue
        stamp = stamp_ns(message)
        if wanted is not None and stamp not in wanted:
            continue
        parts = waiting.setdefault(stamp, {})
        parts[roles[topic]] = message
        if needed <= parts.keys() or len(waiting) > _WAITING:
            done = stamp if needed <= parts.keys() else next(iter(waiting))
            yield from _moment(waiting.pop(done), decoder, topics, cameras)
    for parts in waiting.values():
        yield from _moment(parts, decoder, topics, cameras)


def _moment(parts: dict[str, Any], decoder: Decoder, topics: Topics, cameras: _Cameras) -> Iterator[Moment]:
    if "depth" not in parts:
        return
    depth = decoder.depth(topics.depth, parts["depth"])
    truth = decoder.depth(topics.truth, parts["truth"]) if "truth" in parts else None
    image = decoder.rgb(topics.image, parts["image"]) if "image" in parts else None
    camera = cameras.of_depth(parts["depth"].header.frame_id, depth)
    if image is not None:
        view = cameras.of_image(parts["image"].header.frame_id, image)
        if view.rectifier is not None:
            image = np.asarray(view.rectifier(image), np.uint8)
        if camera is None and view.camera is not None:
            camera = view.camera.resized(depth.shape[1], depth.shape[0])
    yield Moment(stamp_ns(parts["depth"]), depth, image, truth, camera)


class _Cameras:
    """What the recording's camera_info say, each as new as it was when a frame was read."""

    def __init__(self, topics: Topics) -> None:
        self._image, self._depth = CalibrationStore(topics.camera_info), CalibrationStore(topics.depth_info)
        self._topics = topics

    def listen(self, topic: str, message: Any) -> None:
        if topic == self._topics.camera_info:
            self._image.update(message.header.frame_id, calibration_from_info(message))
        if topic == self._topics.depth_info:
            self._depth.update(message.header.frame_id, calibration_from_info(message))

    def of_image(self, frame_id: str, image: Rgb) -> RectifiedView:
        return self._image.view(frame_id, image.shape[1], image.shape[0], "auto")

    def of_depth(self, frame_id: str, depth: Depth) -> PinholeCamera | None:
        return self._depth.view(frame_id, depth.shape[1], depth.shape[0], "auto").camera
