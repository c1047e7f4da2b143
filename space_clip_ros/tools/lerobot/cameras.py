"""The cameras of a bag: their topics, and their frames matched in time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from space_clip_ros.errors import DataError
from space_clip_ros.geometry.camera import PinholeCamera
from space_clip_ros.geometry.color import Rgb
from space_clip_ros.geometry.depth import Depth
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.recorded_frames import read_frames
from space_clip_ros.tools.reporting.recording import Topics, find_topics

_DEPTH = "depth/image"
_DEPTH_KINDS = ("sensor_msgs/msg/Image",)
_ADD = "add it with space_clip predict --bag"


@dataclass(frozen=True)
class BagCamera:
    """One camera of a bag.

    Attributes:
        name: name of its features.
        topics: its colour images, depth and calibrations.
    """

    name: str
    topics: Topics


class CameraFrame(NamedTuple):
    """Depth of one image.

    Attributes:
        stamp_ns: stamp of the image, nanoseconds.
        frame_id: the camera's optical frame.
        image: (H, W, 3) uint8 RGB, rectified.
        depth: (h, w) float32 metres, NaN invalid.
        camera: camera of the depth.
    """

    stamp_ns: int
    frame_id: str
    image: Rgb
    depth: Depth
    camera: PinholeCamera


def find_cameras(bag: BagReader, depth: Sequence[str] = ()) -> list[BagCamera]:
    """Return the cameras with depth.

    A camera is named by the namespace of its depth, ``front`` for ``/front/depth/image``, or ``camera`` in the root.

    Args:
        bag: an open bag.
        depth: their depth topics; if empty, all that end in ``depth/image``.

    Raises:
        DataError: there is no depth, or a camera has no colour images, several topics of them, or no calibration.
        InputError: one of ``depth`` is missing.
    """
    names = list(depth) or sorted(
        name for name, topic in bag.topics.items() if name.endswith(f"/{_DEPTH}") and topic.kind in _DEPTH_KINDS
    )
    if not names:
        raise DataError(bag.path, f"has no {_DEPTH}", _ADD)
    # Without truth and diagnostics: a frame must not wait for them.
    cameras = [
        BagCamera(_name(name), replace(find_topics(bag, Topics(depth=name)), truth="", diagnostics=""))
        for name in names
    ]
    for camera in cameras:
        if not camera.topics.image:
            reason = f"has no topic of colour images, or several, beside {camera.topics.depth}"
            raise DataError(bag.path, reason, "record one, named image")
        if not camera.topics.depth_info and not camera.topics.camera_info:
            raise DataError(bag.path, f"has no camera_info for {camera.topics.depth}", "record it: it has intrinsics")
    return cameras


def frame_rate(bag: BagReader, camera: BagCamera) -> int:
    """Return a camera's usual frame rate, rounded, at least 1.

    Raises:
        DataError: it has fewer than two frames, or all have the same time.
    """
    stamps = [stamp for _, stamp, _ in bag.messages([camera.topics.depth])]
    period_ns = median(later - earlier for earlier, later in pairwise(stamps)) if len(stamps) > 1 else 0
    if period_ns <= 0:
        raise DataError(bag.path, f"{camera.topics.depth} gives no frame rate", "give it with --fps")
    return max(round(1e9 / period_ns), 1)


def read_camera(bag: BagReader, camera: BagCamera) -> Iterator[CameraFrame]:
    """Yield a camera's frames that have a colour image of the same stamp, in the order of their stamps.

    Raises:
        DataError: the bag is damaged, or its calibration does not fit the depth.
    """
    for frame in read_frames(bag, camera.topics):
        if frame.image is None:
            continue
        if frame.camera is None:
            raise DataError(bag.path, f"no camera_info fits {camera.topics.depth}", "a data set needs intrinsics")
        yield CameraFrame(frame.stamp_ns, frame.frame_id, frame.image, frame.depth, frame.camera)


def in_step(
    leading: Iterable[CameraFrame], others: Sequence[Iterable[CameraFrame]], within_ns: int
) -> Iterator[list[CameraFrame]]:
    """Yield the leading camera's frames, each with every other camera's nearest one.

    Args:
        leading: frames in the order of their stamps.
        others: the frames of each other camera, likewise.
        within_ns: how far apart they may be, nanoseconds; a leading frame that lacks another camera's is left out.
    """
    followers = [_Follower(frames) for frames in others]
    for frame in leading:
        nearest = [follower.nearest(frame.stamp_ns) for follower in followers]
        together = [other for other in nearest if other and abs(other.stamp_ns - frame.stamp_ns) <= within_ns]
        if len(together) == len(followers):
            yield [frame, *together]


class _Follower:
    def __init__(self, frames: Iterable[CameraFrame]) -> None:
        self._frames = iter(frames)
        self._current = next(self._frames, None)
        self._next = next(self._frames, None)

    def nearest(self, stamp_ns: int) -> CameraFrame | None:
        """Return the frame nearest to a stamp; stamps must not decrease from call to call."""
        while self._current is not None and self._next is not None:
            if abs(self._next.stamp_ns - stamp_ns) > abs(self._current.stamp_ns - stamp_ns):
                break
            self._current, self._next = self._next, next(self._frames, None)
        return self._current


def _name(depth: str) -> str:
    namespace = depth.removesuffix(_DEPTH).strip("/")
    return re.sub(r"\W+", "_", namespace) or "camera"
