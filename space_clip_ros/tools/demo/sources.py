"""What the demo plays: a KITTI raw drive, or a bag."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.config import PlayerConfig
from space_clip_ros.data.kitti import KittiDrive
from space_clip_ros.errors import DataError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.messages import camera_from_info, compressed_to_rgb, depth_from_image, image_to_rgb, stamp_ns
from space_clip_ros.ros.drive.playback import Timetable
from space_clip_ros.tools.bags.image_topics import choose_images
from space_clip_ros.tools.bags.options import ReplayOptions
from space_clip_ros.tools.bags.reader import BagReader

Rgb = NDArray[np.uint8]

TRANSFORMS = ("/tf", "/tf_static")
_TRUTH = "ground_truth/image"
# DDS repeats every three seconds what a busy process may have missed of a new publisher.
_SETTLE_S = 3.5


@dataclass(frozen=True)
class Playing:
    """The process that plays a source.

    Attributes:
        program: module under ``space_clip_ros.ros``.
        parameters: its ROS parameters.
        arguments: its own arguments.
        remaps: ``FROM:=TO``.
    """

    program: str
    parameters: dict[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    remaps: Sequence[str] = ()


class Source(Protocol):
    """Something to play.

    Attributes:
        name: what to call it.
        frames: how many of its frames are played.
        transport: the images' form, ``raw`` or ``compressed``.
    """

    name: str
    frames: int
    transport: str

    def first(self) -> tuple[Rgb, PinholeCamera, str]:
        """Return the first image, (H, W, 3) uint8, its camera and its frame_id."""
        ...

    def playing(self, rate_hz: float, listeners: int) -> Playing:
        """Return what plays it, with stamps of now, once as many processes hear its images."""
        ...

    def frames_at(self, indexes: Sequence[int]) -> list[tuple[Rgb, Depth]]:
        """Return the images and true depths, (H, W) float32 metres, NaN where unknown, of some frames in order."""
        ...


class DriveSource:
    """A KITTI raw drive, played by ``kitti_player``."""

    transport = "raw"

    def __init__(self, drive: KittiDrive, frames: int = 0) -> None:
        """``frames`` limits how many are played; 0 for all."""
        self._drive = drive
        self.name = drive.name
        self.frames = min(frames or len(drive), len(drive))

    def first(self) -> tuple[Rgb, PinholeCamera, str]:
        """Return the first image, its camera and its frame_id."""
        return self._drive.image(0), self._drive.camera, PlayerConfig().frame_id

    def playing(self, rate_hz: float, listeners: int) -> Playing:
        """Return the player's parameters."""
        own_hz = Timetable(self._drive.stamps_ns[: self.frames].tolist(), 1.0).frame_rate
        drive = str(self._drive.path.resolve())
        parameters = {"drive": drive, "frames": self.frames, "rate": rate_hz / own_hz, "stamps": "now"}
        return Playing("kitti_player", {**parameters, "subscribers": listeners})

    def frames_at(self, indexes: Sequence[int]) -> list[tuple[Rgb, Depth]]:
        """Read the frames."""
        return [(self._drive.image(index), self._truth(index)) for index in indexes]

    def _truth(self, index: int) -> Depth:
        if self._drive.has_ground_truth(index):
            return self._drive.ground_truth(index)
        return _unknown(self._drive.image(index))


class BagSource:
    """A bag with one camera's images, ``camera_info`` and, where it has it, true depth, played by ``replay``.

    Raises:
        DataError: it cannot be read, or has no images or no ``camera_info`` beside them.
        InputError: several image topics and none chosen, or one that it lacks.
    """

    def __init__(self, bag: Path, image: str | None = None, frames: int = 0) -> None:
        """``image`` is the image topic, if there are several; ``frames`` limits how many are played, 0 for all."""
        self._path = bag
        with BagReader(bag) as reader:
            (self._image,) = choose_images(reader, [image] if image else [])
            self._topics = tuple(reader.topics)
            if self._image.info not in self._topics:
                raise DataError(f"{bag}: has no {self._image.info} beside {self._image.name}, which the demo needs")
            self._stamps = [stamp for _, stamp, _ in reader.messages([self._image.info])]
            self._start_ns = reader.start_ns
        if not self._stamps:
            raise DataError(f"{bag}: {self._image.info} holds no messages, which the demo needs")
        self.name = bag.absolute().name
        self.transport = "compressed" if self._image.compressed else "raw"
        self.frames = min(frames or len(self._stamps), len(self._stamps))

    def first(self) -> tuple[Rgb, PinholeCamera, str]:
        """Return the first image, its camera and its frame_id."""
        with BagReader(self._path) as bag:
            image, info = (self._first(bag, name) for name in (self._image.name, self._image.info))
        return self._rgb(image), camera_from_info(info, self._image.info), str(image.header.frame_id)

    def playing(self, rate_hz: float, listeners: int) -> Playing:
        """Return the command line of ``replay``."""
        own_hz = Timetable(self._stamps[: self.frames], 1.0).frame_rate
        ours = {
            self._image.name: "image/compressed" if self._image.compressed else "image",
            self._image.info: "camera_info",
            self._truth_topic: _TRUTH,
        }
        topics = tuple(name for name in (*ours, *self._transforms()) if name in self._topics)
        options = ReplayOptions(
            str(self._path),
            rate_hz / own_hz,
            duration=self._duration_s(),
            topics=topics,
            stamps="now",
            settle=_SETTLE_S,
            wait_for=self._image.name,
            subscribers=listeners,
        )
        remaps = [f"{name}:={to}" for name, to in ours.items() if name in topics and name != f"/{to}"]
        return Playing("replay", arguments=options.arguments(), remaps=remaps)

    def frames_at(self, indexes: Sequence[int]) -> list[tuple[Rgb, Depth]]:
        """Read the frames, which takes one way through the bag up to the last of them."""
        images: dict[int, Any] = {}
        with BagReader(self._path) as bag:
            messages = bag.messages([self._image.name]) if indexes else iter(())
            for index, (name, _, data) in enumerate(messages):
                if index in indexes:
                    images[index] = bag.decode(name, data)
                if index >= max(indexes):
                    break
            truths = self._truths(bag, {stamp_ns(image) for image in images.values()})
        found = []
        for index in indexes:
            rgb = self._rgb(images[index])
            truth = truths.get(stamp_ns(images[index]))
            found.append((rgb, _unknown(rgb) if truth is None else truth))
        return found

    @property
    def _truth_topic(self) -> str:
        return f"{self._image.namespace}{_TRUTH}"

    def _transforms(self) -> Sequence[str]:
        return TRANSFORMS if importlib.util.find_spec("tf2_msgs") else ()

    def _duration_s(self) -> float:
        """Return how much of the bag is to be played: up to between the last frame and the next, 0 for all."""
        if self.frames == len(self._stamps):
            return 0.0
        return (sum(self._stamps[self.frames - 1 : self.frames + 1]) / 2 - self._start_ns) / 1e9

    def _truths(self, bag: BagReader, stamps: set[int]) -> dict[int, Depth]:
        found: dict[int, Depth] = {}
        for name, _, data in bag.messages([self._truth_topic]):
            if len(found) == len(stamps):
                break
            message = bag.decode(name, data)
            if stamp_ns(message) in stamps:
                found[stamp_ns(message)] = depth_from_image(message, name)
        return found

    def _first(self, bag: BagReader, name: str) -> Any:
        _, _, data = next(bag.messages([name]))
        return bag.decode(name, data)

    def _rgb(self, message: Any) -> Rgb:
        return (compressed_to_rgb if self._image.compressed else image_to_rgb)(message, self._image.name)


def _unknown(image: Rgb) -> Depth:
    return np.full(image.shape[:2], np.nan, np.float32)
