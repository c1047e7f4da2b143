"""Statistics of a recording, gathered in one pass: each frame's latency and errors, and where the errors are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from space_clip_ros.errors import DataError
from space_clip_ros.evaluation.metrics import MetricAverage, comparable, compared_pixels
from space_clip_ros.evaluation.uncertainty import (
    FrameUncertainty,
    UncertaintySummary,
    frame_uncertainty,
    mean_uncertainty,
)
from space_clip_ros.geometry.depth import resize_bilinear
from space_clip_ros.messages.diagnostics import DepthValues, status_texts
from space_clip_ros.messages.images import stamp_ns
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting.errors_by_place import ErrorsByPlace, MeanErrors
from space_clip_ros.tools.reporting.recorded_frames import RecordedFrame, read_frames
from space_clip_ros.tools.reporting.recording import Topics
from space_clip_ros.tools.reporting.scale_words import scale_asked
from space_clip_ros.tools.reporting.uncertainty_picture import uncertainty_share

# A longer latency means that the stamps come from another clock, such as a replayed drive's.
_MAX_LATENCY_MS = 60e3


class FrameStatistics(NamedTuple):
    """Statistics of one frame.

    Attributes:
        stamp_ns: stamp of its image, nanoseconds.
        arrived_ns: when its depth was recorded, nanoseconds.
        metrics: by name; None if no pixel can be compared.
        uncertainty: median over the image of one standard deviation as a share of depth, or None.
    """

    stamp_ns: int
    arrived_ns: int
    metrics: Mapping[str, float] | None
    uncertainty: float | None = None


class ScaleReport(NamedTuple):
    """A report of the node about its metric scale.

    Attributes:
        arrived_ns: when it was recorded, nanoseconds.
        values: the report.
    """

    arrived_ns: int
    values: DepthValues


@dataclass(frozen=True)
class RecordingStatistics:
    """Statistics of a recording.

    Attributes:
        frames: those with depth, in the order of their stamps.
        images_ns: when each image was recorded, by its stamp; both nanoseconds.
        metrics: averaged over frames; empty without truth.
        coverage: share of the true pixels that have depth, or None without truth.
        by_distance: errors, as :meth:`ErrorsByPlace.by_distance` returns them.
        by_region: errors, as :meth:`ErrorsByPlace.by_region` returns them.
        node: newest values of ``depth_node`` on ``/diagnostics``; all unknown where none were recorded.
        scale: the reports about the camera's metric scale, in order; empty if the node looked for none.
        uncertainty: how well the recorded uncertainty fits the errors, averaged over frames; None without either.
    """

    frames: Sequence[FrameStatistics]
    images_ns: Mapping[int, int]
    metrics: Mapping[str, float]
    coverage: float | None
    by_distance: Sequence[MeanErrors]
    by_region: Sequence[MeanErrors]
    node: DepthValues
    scale: Sequence[ScaleReport] = ()
    uncertainty: UncertaintySummary | None = None

    def compared(self) -> list[FrameStatistics]:
        """Return the frames that have errors, the smallest abs_rel first."""
        return sorted(
            (frame for frame in self.frames if frame.metrics), key=lambda frame: (frame.metrics or {})["abs_rel"]
        )

    def rate_hz(self) -> float | None:
        """Return depth images per second from the first to the last, as recorded; None for fewer than two."""
        arrived = sorted(frame.arrived_ns for frame in self.frames)
        span_s = (arrived[-1] - arrived[0]) / 1e9
        return (len(arrived) - 1) / span_s if span_s > 0 else None

    def latencies_ms(self) -> tuple[list[float], str]:
        """Return each frame's latency until its depth was recorded, NaN where unknown, and where it starts.

        It starts at the image's stamp if the recorder has the same clock, else when the image was recorded. The list is
        empty for a bag that was not recorded live: there depth has its image's time.
        """
        known = [frame for frame in self.frames if frame.stamp_ns in self.images_ns]
        if known and all(frame.arrived_ns == self.images_ns[frame.stamp_ns] for frame in known):
            return [], ""
        from_stamp = [(frame.arrived_ns - frame.stamp_ns) / 1e6 for frame in self.frames]
        if 0.0 < np.median(from_stamp) < _MAX_LATENCY_MS:
            return from_stamp, "from the image's stamp"
        unknown = float("nan")
        from_image = [
            (frame.arrived_ns - self.images_ns[frame.stamp_ns]) / 1e6 if frame.stamp_ns in self.images_ns else unknown
            for frame in self.frames
        ]
        if any(value > 0 for value in from_image) and 0.0 < np.nanmedian(from_image) < _MAX_LATENCY_MS:
            return from_image, "from the image's arrival"
        return [], ""


def gather_statistics(
    bag: BagReader,
    topics: Topics,
    limits: tuple[float, float, str],
    on_frame: Callable[[], None] = lambda: None,
) -> RecordingStatistics:
    """Read a recording once; return its statistics.

    Args:
        bag: an open bag.
        topics: what to read.
        limits: smallest and largest depth compared, metres, and the crop, as
            :class:`~space_clip_ros.evaluation.metrics.MetricAverage` takes them.
        on_frame: called after each frame.

    Raises:
        DataError: the bag is damaged, or has no depth image.
        InputError: the limits cannot be used.
    """
    listener = _Listener(topics)
    average, places = MetricAverage(*limits), ErrorsByPlace(*limits)
    frames: list[FrameStatistics] = []
    uncertainties: list[FrameUncertainty] = []
    # Only the arrival of images matters here, so they are not decoded.
    needed, also = replace(topics, image="", scan=""), (topics.image, topics.diagnostics)
    for frame in read_frames(bag, needed, on_message=listener, also=also):
        frames.append(_compare(frame, listener.depth_ns.pop(frame.stamp_ns), average, places))
        uncertainties += _compare_uncertainty(frame, limits)
        on_frame()
    if not frames:
        raise DataError(bag.path, f"{topics.depth} holds no depth image")
    known = average.pixels + average.unanswered
    return RecordingStatistics(
        frames=sorted(frames, key=lambda frame: frame.stamp_ns),
        images_ns=listener.images_ns,
        metrics=average.mean(),
        coverage=average.pixels / known if known else None,
        by_distance=places.by_distance(),
        by_region=places.by_region(),
        node=listener.node,
        scale=listener.scale(),
        uncertainty=mean_uncertainty(uncertainties) if uncertainties else None,
    )


def _compare(frame: RecordedFrame, arrived_ns: int, average: MetricAverage, places: ErrorsByPlace) -> FrameStatistics:
    median = None
    if frame.uncertainty is not None:
        known = uncertainty_share(frame.uncertainty, frame.depth)
        known = known[np.isfinite(known)]
        median = float(np.median(known)) if known.size else None
    if frame.truth is None:
        return FrameStatistics(frame.stamp_ns, arrived_ns, None, median)
    depth = resize_bilinear(frame.depth, *frame.truth.shape[::-1])
    places.add(depth, frame.truth)
    return FrameStatistics(frame.stamp_ns, arrived_ns, average.add(depth, frame.truth), median)


def _compare_uncertainty(frame: RecordedFrame, limits: tuple[float, float, str]) -> Iterator[FrameUncertainty]:
    """Yield how well a frame's uncertainty fits its errors, where there is a pixel with both."""
    if frame.uncertainty is None or frame.truth is None:
        return
    size = frame.truth.shape[::-1]
    share = resize_bilinear(uncertainty_share(frame.uncertainty, frame.depth), *size)
    depth = np.where(np.isfinite(share), resize_bilinear(frame.depth, *size), np.float32(np.nan))
    p, t = compared_pixels(depth, frame.truth, *limits)
    if p.size:
        yield frame_uncertainty(p, t, share[comparable(depth, frame.truth, *limits)].astype(np.float64))


class _Listener:
    """Keeps when images and depth were recorded, and the newest diagnostics."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.images_ns: dict[int, int] = {}
        self.depth_ns: dict[int, int] = {}
        self.node = DepthValues()
        self._scales: dict[str, list[ScaleReport]] = {}
        self._own = ""

    def __call__(self, topic: str, arrived_ns: int, message: Any) -> None:
        if topic == self._topics.image:
            self.images_ns.setdefault(stamp_ns(message), arrived_ns)
        elif topic == self._topics.depth:
            self.depth_ns[stamp_ns(message)] = arrived_ns
        elif topic == self._topics.diagnostics:
            for status in message.status:
                if status.name.endswith(DepthValues.PART):
                    # A node of another version may report unknown values.
                    with contextlib.suppress(ValueError):
                        self.node = DepthValues.read(status_texts(status))
                        self._keep_scale(status.name, arrived_ns)

    def scale(self) -> Sequence[ScaleReport]:
        """Return the reports about the camera whose images these are; of the first one where it is not known."""
        return self._scales.get(self._own) or next(iter(self._scales.values()), [])

    def _keep_scale(self, name: str, arrived_ns: int) -> None:
        if self.node.image_topic and self.node.image_topic == self._topics.image:
            self._own = name
        if scale_asked(self.node):
            self._scales.setdefault(name, []).append(ScaleReport(arrived_ns, self.node))
