"""One pass over a recording: every frame's latency and error, and where the errors are; a few numbers a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.metrics import MetricAverage
from space_clip_ros.geometry.depth import resize_bilinear
from space_clip_ros.messages.images import stamp_ns
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.errors_by_place import Errors, ErrorsByPlace
from space_clip_ros.tools.reporting.recorded_frames import Moment, read_moments
from space_clip_ros.tools.reporting.recording import Topics

# A camera's stamp that lies further back is of another clock, such as a replayed drive's.
_LONGEST_LATENCY_MS = 60e3


class FrameFigures(NamedTuple):
    """What is kept of one frame.

    Attributes:
        stamp_ns: of its image.
        arrived_ns: when its depth was recorded.
        metrics: by name; None where it has no truth that counts.
    """

    stamp_ns: int
    arrived_ns: int
    metrics: Mapping[str, float] | None


@dataclass(frozen=True)
class Survey:
    """A recording's figures.

    Attributes:
        frames: with depth, in the order of their stamps.
        images_ns: when each image was recorded, by its stamp.
        metrics: averaged over frames; empty without truth.
        coverage: share of the true pixels that depth answers, or None.
        by_distance: errors, as :meth:`ErrorsByPlace.by_distance`.
        by_region: errors, as :meth:`ErrorsByPlace.by_region`.
        diagnostics: newest values of each status on ``/diagnostics``, by its name.
    """

    frames: Sequence[FrameFigures]
    images_ns: Mapping[int, int]
    metrics: Mapping[str, float]
    coverage: float | None
    by_distance: Sequence[Errors]
    by_region: Sequence[Errors]
    diagnostics: Mapping[str, Mapping[str, str]]

    def compared(self) -> list[FrameFigures]:
        """Return the frames that have an error, the smallest first."""
        return sorted(
            (frame for frame in self.frames if frame.metrics), key=lambda frame: (frame.metrics or {})["abs_rel"]
        )

    def latencies_ms(self) -> tuple[list[float], str]:
        """Return each frame's milliseconds until its depth was recorded, and since when; nothing where unknown.

        From the image's stamp where the stamps are of the recorder's clock, else from the recording of the image. A
        bag that was not recorded live tells neither.
        """
        stamped = [(frame.arrived_ns - frame.stamp_ns) / 1e6 for frame in self.frames]
        if 0.0 < np.median(stamped) < _LONGEST_LATENCY_MS:
            return stamped, "from the image's stamp"
        nowhere = float("nan")
        waited = [
            (frame.arrived_ns - self.images_ns[frame.stamp_ns]) / 1e6 if frame.stamp_ns in self.images_ns else nowhere
            for frame in self.frames
        ]
        if any(value > 0 for value in waited) and 0.0 < np.nanmedian(waited) < _LONGEST_LATENCY_MS:
            return waited, "from the image's arrival"
        return [], ""


def survey(
    bag: BagReader,
    topics: Topics,
    limits: tuple[float, float, str],
    on_frame: Callable[[], None] = lambda: None,
) -> Survey:
    """Read a recording once.

    Args:
        bag: open.
        topics: what to read.
        limits: least and largest depth compared, metres, and the crop, as
            :class:`~space_clip_ros.evaluation.metrics.MetricAverage` takes them.
        on_frame: called after each frame.

    Raises:
        DataError: the bag is damaged, or no depth image is in it.
        InputError: the limits cannot be used.
    """
    tally = _Tally(topics)
    average, places = MetricAverage(*limits), ErrorsByPlace(*limits)
    frames = []
    for moment in read_moments(bag, replace(topics, image=""), listen=tally, also=(topics.image, topics.diagnostics)):
        frames.append(_compare(moment, tally.depth_ns.pop(moment.stamp_ns), average, places))
        on_frame()
    if not frames:
        raise DataError(f"{bag.path}: {topics.depth} holds no depth image")
    known = average.pixels + average.unanswered
    return Survey(
        frames=sorted(frames, key=lambda frame: frame.stamp_ns),
        images_ns=tally.images_ns,
        metrics=average.mean(),
        coverage=average.pixels / known if known else None,
        by_distance=places.by_distance(),
        by_region=places.by_region(),
        diagnostics=tally.diagnostics,
    )


def _compare(moment: Moment, arrived_ns: int, average: MetricAverage, places: ErrorsByPlace) -> FrameFigures:
    if moment.truth is None:
        return FrameFigures(moment.stamp_ns, arrived_ns, None)
    depth = resize_bilinear(moment.depth, *moment.truth.shape[::-1])
    places.add(depth, moment.truth)
    return FrameFigures(moment.stamp_ns, arrived_ns, average.add(depth, moment.truth))


class _Tally:
    """When images and depth were recorded, and the nodes' newest words."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.images_ns: dict[int, int] = {}
        self.depth_ns: dict[int, int] = {}
        self.diagnostics: dict[str, dict[str, str]] = {}

    def __call__(self, topic: str, arrived_ns: int, message: Any) -> None:
        if topic == self._topics.image:
            self.images_ns.setdefault(stamp_ns(message), arrived_ns)
        elif topic == self._topics.depth:
            self.depth_ns[stamp_ns(message)] = arrived_ns
        elif topic == self._topics.diagnostics:
            for status in message.status:
                values = {item.key: item.value for item in status.values}
                self.diagnostics[status.name] = {"message": status.message, **values}
