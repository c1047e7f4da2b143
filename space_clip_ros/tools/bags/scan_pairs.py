"""Pairs a bag's images with the scans nearest to them in time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from space_clip_ros.perception.scale import TOGETHER_S
from space_clip_ros.tools.bags.restamp import header_stamp

_TOGETHER_NS = round(TOGETHER_S * 1e9)
_KEPT_NS = 1_000_000_000
"""How much later than its scan an image may reach the recorder, nanoseconds."""


class WaitingImage(NamedTuple):
    """An image that waits for its scan.

    Attributes:
        topic: its topic.
        stamp_ns: when the bag received it, nanoseconds.
        data: the message as CDR.
        infos: the cameras' new camera_info messages, read since the previous image.
    """

    topic: str
    stamp_ns: int
    data: bytes
    infos: list[Any]

    @property
    def time_ns(self) -> int:
        """Its own stamp, or if that is not set the time when the bag received it, nanoseconds."""
        return header_stamp(self.data) or self.stamp_ns


@dataclass
class _Scan:
    stamp_ns: int
    time_ns: int
    data: bytes
    used: bool = False


class ScanPairs:
    """Gives each image the scan nearest in time, and each scan to one image only.

    A bag may hold a scan behind its image, so an image waits until what the bag received :data:`TOGETHER_S` later has
    been read.

    Args:
        images: topic of the images by the topic of their scans; if empty, no image waits.
    """

    def __init__(self, images: Mapping[str, str]) -> None:
        """Start without images and scans."""
        self._images = images
        self._scans: dict[str, deque[_Scan]] = {image: deque() for image in images.values()}
        self._waiting: deque[WaitingImage] = deque()
        self._wait_ns = _TOGETHER_NS if images else 0

    def add_image(self, image: WaitingImage) -> None:
        """Take the bag's next image."""
        self._waiting.append(image)

    def add_scan(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Take the bag's next scan; arguments as the bag yields them."""
        scans = self._scans[self._images[topic]]
        needed = (self._waiting[0].stamp_ns if self._waiting else stamp_ns) - _KEPT_NS
        while scans and scans[0].stamp_ns < needed:
            scans.popleft()
        scans.append(_Scan(stamp_ns, header_stamp(data) or stamp_ns, data))

    def ready(self, read_ns: float = math.inf) -> Iterator[tuple[WaitingImage, bytes | None]]:
        """Yield the images that need not wait any more, each with its scan as CDR, or None.

        Args:
            read_ns: up to where the bag has been read, nanoseconds; infinity at its end.
        """
        while self._waiting and self._waiting[0].stamp_ns + self._wait_ns <= read_ns:
            image = self._waiting.popleft()
            yield image, self._scan_of(image)

    def _scan_of(self, image: WaitingImage) -> bytes | None:
        scans = self._scans.get(image.topic, ())
        scan = min(scans, key=lambda scan: abs(scan.time_ns - image.time_ns), default=None)
        if scan is None or scan.used:
            return None
        apart = abs(scan.time_ns - image.time_ns)
        later = [other.time_ns for other in self._waiting if other.topic == image.topic]
        if apart > _TOGETHER_NS or any(abs(scan.time_ns - time_ns) < apart for time_ns in later):
            return None
        scan.used = True
        return scan.data
