"""Frames of a recording, one at a time: depth with the image and truth of the same stamp."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from space_clip_ros.errors import DataError, SpaceClipError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.geometry.planar_scan import PlanarScan
from space_clip_ros.messages import calibration_from_info
from space_clip_ros.messages.color_images import image_to_rgb
from space_clip_ros.messages.compressed_images import compressed_to_rgb
from space_clip_ros.messages.images import depth_from_image, stamp_ns
from space_clip_ros.messages.laser_scans import scan_from_laser_scan
from space_clip_ros.perception.calibration import CalibrationStore, RectifiedView
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.recording import Topics

T = TypeVar("T")
OnMessage = Callable[[str, int, Any], None]
"""Takes a message's topic, the time of its recording in nanoseconds, and its content."""

_MAX_INCOMPLETE = 32
_ROLES = ("image", "depth", "truth", "uncertainty", "scan")


class RecordedFrame(NamedTuple):
    """Depth of one image, and what was recorded with it.

    Attributes:
        stamp_ns: stamp of the image, nanoseconds.
        depth: (h, w) float32 metres, NaN invalid.
        image: (H, W, 3) uint8 RGB, rectified as its calibration says, or None.
        truth: (H', W') float32 metres, NaN where unknown, or None.
        camera: camera of the depth image, or None where unknown.
        uncertainty: (h, w) float32, one standard deviation of depth, metres, NaN invalid, or None.
        scan: the planar scan, or None.
        frame_id: the depth image's frame.
    """

    stamp_ns: int
    depth: Depth
    image: Rgb | None
    truth: Depth | None
    camera: PinholeCamera | None
    uncertainty: Depth | None = None
    scan: PlanarScan | None = None
    frame_id: str = ""


def read_frames(
    bag: BagReader,
    topics: Topics,
    wanted: Collection[int] | None = None,
    on_message: OnMessage = lambda topic, arrived_ns, message: None,
    also: Collection[str] = (),
) -> Iterator[RecordedFrame]:
    """Yield every frame that has depth.

    A frame is yielded once it has a message from each of the bag's topics; an incomplete one is yielded some frames
    later.

    Args:
        bag: an open bag.
        topics: what to read.
        wanted: stamps of the frames to yield, nanoseconds; None for all.
        on_message: called with every message read.
        also: more topics, only for ``on_message``.

    Raises:
        DataError: the bag or a message of these frames is damaged.
    """
    roles = {getattr(topics, role): role for role in _ROLES}
    needed = {"depth", *(role for role in _ROLES if getattr(topics, role))}
    cameras = _Cameras(topics)
    incomplete: OrderedDict[int, dict[str, Any]] = OrderedDict()
    names = {name for name in (*roles, topics.camera_info, topics.depth_info, *also) if name}
    for topic, arrived_ns, data in bag.messages(names):
        message = bag.decode(topic, data)
        on_message(topic, arrived_ns, message)
        cameras.listen(topic, message)
        stamp = stamp_ns(message) if topic in roles else None
        if stamp is None or (wanted is not None and stamp not in wanted):
            continue
        incomplete.setdefault(stamp, {})[roles[topic]] = message
        if needed <= incomplete[stamp].keys():
            yield from _frame(bag, topics, cameras, incomplete.pop(stamp))
        elif len(incomplete) > _MAX_INCOMPLETE:
            yield from _frame(bag, topics, cameras, incomplete.popitem(last=False)[1])
    for messages in incomplete.values():
        yield from _frame(bag, topics, cameras, messages)


def _frame(bag: BagReader, topics: Topics, cameras: _Cameras, messages: dict[str, Any]) -> Iterator[RecordedFrame]:
    """Yield the frame of these messages, by their roles; nothing without depth."""

    def decoded(role: str, read: Callable[[Any, str], T]) -> T | None:
        return _converted(bag, read, messages[role], getattr(topics, role)) if role in messages else None

    depth = decoded("depth", depth_from_image)
    if depth is None:
        return
    truth = decoded("truth", depth_from_image)
    image = decoded("image", _rgb)
    uncertainty = decoded("uncertainty", depth_from_image)
    if uncertainty is not None and uncertainty.shape != depth.shape:
        uncertainty = None
    scan = decoded("scan", lambda message, _: scan_from_laser_scan(message))
    header = messages["depth"].header
    camera = cameras.of_depth(header.frame_id, depth)
    if image is not None:
        view = cameras.of_image(messages["image"].header.frame_id, image)
        if view.rectifier is not None:
            image = np.asarray(view.rectifier(image), np.uint8)
        if camera is None and view.camera is not None:
            camera = view.camera.resized(depth.shape[1], depth.shape[0])
    yield RecordedFrame(stamp_ns(messages["depth"]), depth, image, truth, camera, uncertainty, scan, header.frame_id)


def _converted(bag: BagReader, read: Callable[[Any, str], T], message: Any, topic: str) -> T:
    try:
        return read(message, topic)
    except SpaceClipError as error:
        raise DataError(f"{bag.path}: {error.what}", error.reason, error.remedy) from error


def _rgb(message: Any, topic: str) -> Rgb:
    return (compressed_to_rgb if hasattr(message, "format") else image_to_rgb)(message, topic)


class _Cameras:
    """Finds the cameras of images and of depth in the recording's newest camera_info."""

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
