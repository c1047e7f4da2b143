"""The demo's sources: a KITTI raw drive, or a bag."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from space_clip_ros.config import PlayerConfig
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError, InputError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.messages import calibration_from_info, compressed_to_rgb, depth_from_image, image_to_rgb, stamp_ns
from space_clip_ros.ros.drive.playback import Timetable
from space_clip_ros.ros.executables import KITTI_PLAYER
from space_clip_ros.tools.bags.image_topics import choose_images
from space_clip_ros.tools.bags.options import ReplayOptions
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.executables import BAG_REPLAY

IMAGE_TOPICS = {
    "raw": ("image", "sensor_msgs/msg/Image"),
    "compressed": ("image/compressed", "sensor_msgs/msg/CompressedImage"),
}
"""Topic and type of the images, by transport."""

_TRUTH = "ground_truth/image"
# DDS announces a new publisher again after three seconds, in case a busy process missed it.
_SETTLE_S = 3.5


@dataclass(frozen=True)
class Player:
    """The node that plays a source.

    Attributes:
        module: its module below ``space_clip_ros``.
        parameters: its ROS parameters.
        arguments: its own command line arguments.
        remaps: topic remappings, ``FROM:=TO``.
    """

    module: str
    parameters: dict[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    remaps: Sequence[str] = ()


class DemoSource(Protocol):
    """Something to play.

    Attributes:
        name: its name in messages.
        frame_count: number of frames played.
        transport: ``raw`` or ``compressed`` images.
    """

    name: str
    frame_count: int
    transport: str

    def first_image(self) -> tuple[Rgb, PinholeCamera, str]:
        """Return the first image, (H, W, 3) uint8, its camera and its frame_id."""
        ...

    def player(self, rate_hz: float, subscribers: int) -> Player:
        """Return the node that plays it, with current stamps, once the images have enough subscribers.

        Args:
            rate_hz: frames per second.
            subscribers: number of subscribers to wait for.
        """
        ...

    def frames_at(self, indexes: Sequence[int]) -> list[tuple[Rgb, Depth]]:
        """Return image and true depth, (H, W) float32 metres, NaN where unknown, of each of these frames."""
        ...


class DriveSource:
    """A KITTI raw drive, played by ``kitti_player``."""

    transport = "raw"

    def __init__(self, drive: KittiDrive, frames: int = 0) -> None:
        """``frames`` limits how many are played; 0 plays all."""
        self._drive = drive
        self.name = drive.name
        self.frame_count = min(frames or len(drive), len(drive))

    def first_image(self) -> tuple[Rgb, PinholeCamera, str]:
        """Return the first image, its camera and its frame_id."""
        return self._drive.image(0), self._drive.camera, PlayerConfig().frame_id

    def player(self, rate_hz: float, subscribers: int) -> Player:
        """Return ``kitti_player`` with its parameters."""
        own_hz = Timetable(self._drive.stamps_ns[: self.frame_count].tolist(), 1.0).frame_rate
        drive = str(self._drive.path.resolve())
        parameters = {"drive": drive, "frames": self.frame_count, "rate": rate_hz / own_hz, "stamps": "now"}
        return Player(KITTI_PLAYER, {**parameters, "subscribers": subscribers, "settle": _SETTLE_S})

    def frames_at(self, indexes: Sequence[int]) -> list[tuple[Rgb, Depth]]:
        """Read the frames."""
        return [(self._drive.image(index), self._truth(index)) for index in indexes]

    def _truth(self, index: int) -> Depth:
        if self._drive.has_ground_truth(index):
            return self._drive.ground_truth(index)
        return _unknown(self._drive.image(index))


class BagSource:
    """A bag with one camera's images, their ``camera_info`` and maybe true depth, played by ``replay``.

    Raises:
        DataError: it cannot be read, or has no images or no ``camera_info`` beside them.
        InputError: there are several image topics and none was chosen, or the chosen one is missing.
    """

    def __init__(self, bag: Path, image: str | None = None, frames: int = 0) -> None:
        """``image`` is the image topic, if there are several; ``frames`` limits how many are played, 0 plays all."""
        self._path = bag
        with BagReader(bag) as reader:
            (self._image,) = choose_images(reader, [image] if image else [])
            self._topics = tuple(reader.topics)
            if self._image.info not in self._topics:
                raise DataError(bag, f"has no {self._image.info} beside {self._image.name}, which the demo needs")
            self._stamps = [stamp for _, stamp, _ in reader.messages([self._image.name])]
            self._start_ns = reader.start_ns
            # choose_images takes no topic without images.
            if not reader.topics[self._image.info].count:
                raise DataError(bag, f"{self._image.info} holds no messages, which the demo needs")
        self.name = bag.absolute().name
        self.transport = "compressed" if self._image.compressed else "raw"
        self.frame_count = min(frames or len(self._stamps), len(self._stamps))

    def first_image(self) -> tuple[Rgb, PinholeCamera, str]:
        """Return the first image, its camera and its frame_id."""
        with BagReader(self._path) as bag:
            image, info = (_first(bag, name) for name in (self._image.name, self._image.info))
        rgb = self._rgb(image)
        try:
            camera = calibration_from_info(info).rectified_camera(rgb.shape[1], rgb.shape[0])
        except InputError as error:
            raise DataError(self._path, f"{self._image.info} cannot be used: {error}") from error
        return rgb, camera, str(image.header.frame_id)

    def player(self, rate_hz: float, subscribers: int) -> Player:
        """Return ``replay`` with its command line."""
        own_hz = Timetable(self._stamps[: self.frame_count], 1.0).frame_rate
        topic, _ = IMAGE_TOPICS[self.transport]
        ours = {self._image.name: topic, self._image.info: "camera_info", self._truth_topic: _TRUTH}
        topics = tuple(name for name in (*ours, *transform_topics()) if name in self._topics)
        options = ReplayOptions(
            str(self._path),
            rate_hz / own_hz,
            duration=self._duration_s(),
            topics=topics,
            stamps="now",
            settle=_SETTLE_S,
            wait_for=self._image.name,
            subscribers=subscribers,
        )
        remaps = [f"{name}:={to}" for name, to in ours.items() if name in topics and name != f"/{to}"]
        return Player(BAG_REPLAY, arguments=options.arguments(), remaps=remaps)

    def frames_at(self, indexes: Sequence[int]) -> list[tuple[Rgb, Depth]]:
        """Read the frames in one pass through the bag, up to the last of them."""
        images: dict[int, Any] = {}
        with BagReader(self._path) as bag:
            messages = bag.messages([self._image.name]) if indexes else iter(())
            for index, (name, _, data) in enumerate(messages):
                if index in indexes:
                    images[index] = bag.decode(name, data)
                if index >= max(indexes):
                    break
            truths = self._truths(bag, {stamp_ns(image) for image in images.values()})
        frames = []
        for index in indexes:
            rgb = self._rgb(images[index])
            truth = truths.get(stamp_ns(images[index]))
            frames.append((rgb, _unknown(rgb) if truth is None else truth))
        return frames

    @property
    def _truth_topic(self) -> str:
        return f"{self._image.namespace}{_TRUTH}"

    def _duration_s(self) -> float:
        """Return how much of the bag to play, so that it ends halfway between the last frame and the next; 0 is all."""
        if self.frame_count == len(self._stamps):
            return 0.0
        return (sum(self._stamps[self.frame_count - 1 : self.frame_count + 1]) / 2 - self._start_ns) / 1e9

    def _truths(self, bag: BagReader, stamps: set[int]) -> dict[int, Depth]:
        truths: dict[int, Depth] = {}
        for name, _, data in bag.messages([self._truth_topic]):
            if len(truths) == len(stamps):
                break
            message = bag.decode(name, data)
            if stamp_ns(message) in stamps:
                truths[stamp_ns(message)] = depth_from_image(message, name)
        return truths

    def _rgb(self, message: Any) -> Rgb:
        return (compressed_to_rgb if self._image.compressed else image_to_rgb)(message, self._image.name)


def transform_topics() -> Sequence[str]:
    """Return the topics of the transforms, which can only be played and recorded where ``tf2_msgs`` is installed."""
    return ("/tf", "/tf_static") if importlib.util.find_spec("tf2_msgs") else ()


def _first(bag: BagReader, topic: str) -> Any:
    _, _, data = next(bag.messages([topic]))
    return bag.decode(topic, data)


def _unknown(image: Rgb) -> Depth:
    return np.full(image.shape[:2], np.nan, np.float32)
