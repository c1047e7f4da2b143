"""Writes the report of a recording. The bag is read twice, and a third time for a film."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import NamedTuple

from space_clip_ros.config import EvaluatorConfig, NodeConfig
from space_clip_ros.errors import DataError
from space_clip_ros.files import write_whole
from space_clip_ros.tools.bags.reader import BagReader
from space_clip_ros.tools.reporting import figures, page, shown_frames
from space_clip_ros.tools.reporting.frame_statistics import RecordingStatistics, gather_statistics
from space_clip_ros.tools.reporting.pictures import data_uri, resized, shown_size
from space_clip_ros.tools.reporting.recorded_frames import RecordedFrame, read_frames
from space_clip_ros.tools.reporting.recording import ReportSource, Topics, find_source, find_topics
from space_clip_ros.tools.reporting.scale_figures import scale_over_time
from space_clip_ros.tools.reporting.video import write_video

MAX_BYTES = 10_000_000
"""Largest page, bytes."""

_SMALL_SIDE = 640
_SMALL_BYTES = 60_000
_DEFAULT_HZ = 10.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReportOptions:
    """What to report, and how to measure errors.

    Args:
        topics: topics with other names than the node's.
        evaluator: gives the depth range and crop of the errors.
        node: gives the depth range and colours of the pictures.
        video: where to write a film, or None.
    """

    topics: Topics = field(default_factory=Topics)
    evaluator: EvaluatorConfig = field(default_factory=EvaluatorConfig)
    node: NodeConfig = field(default_factory=NodeConfig)
    video: Path | None = None


class WrittenReport(NamedTuple):
    """What was written.

    Attributes:
        frames: number of frames with depth.
        size: size of the page, bytes.
        missing: sentences about what the recording lacks.
        film_frames: number of frames in the film, 0 without one.
    """

    frames: int
    size: int
    missing: tuple[str, ...]
    film_frames: int


def write_report(
    path: str | Path, out: Path, options: ReportOptions, progress: Progress = lambda done, total: None
) -> WrittenReport:
    """Write the report of a run or a bag.

    Args:
        path: see :func:`~space_clip_ros.tools.reporting.recording.find_source`.
        out: file of the page; it appears only once it is complete.
        options: what to report.
        progress: called with the number of frames done and the total.

    Raises:
        DataError: the recording is missing, damaged or without depth, or a file cannot be written.
        InputError: the bag lacks a topic of ``options``, or the limits of the errors cannot be used.
    """
    source = find_source(path)
    with BagReader(source.bag) as bag:
        topics = find_topics(bag, options.topics)
        counter = _FrameCounter(progress, bag.topics[topics.depth].count * (2 if options.video else 1))
        limits = (options.evaluator.min_depth, options.evaluator.max_depth, options.evaluator.crop)
        statistics = gather_statistics(bag, topics, limits, counter)
        labels = shown_frames.choose(statistics)
        frames = {frame.stamp_ns: frame for frame in read_frames(bag, topics, labels)}
        shown = [frames[stamp] for stamp in labels]
        missing = (*source.notes, *_missing(topics, statistics, shown))
        content = _page(source, statistics, shown, labels, missing, options).encode()
        if len(content) > MAX_BYTES:
            raise DataError(out, f"the page would take {len(content)} bytes, more than {MAX_BYTES}")
        film_frames = 0
        if options.video:
            rate = statistics.rate_hz() or _DEFAULT_HZ
            film_frames = write_video(options.video, bag, topics, rate, options.node, counter)
    write_whole(out, content)
    return WrittenReport(len(statistics.frames), len(content), missing, film_frames)


def _page(
    source: ReportSource,
    statistics: RecordingStatistics,
    shown: Sequence[RecordedFrame],
    labels: Mapping[int, str],
    missing: Sequence[str],
    options: ReportOptions,
) -> str:
    # The last frame shown is the median one.
    typical = next((frame.image for frame in reversed(shown) if frame.image is not None), None)
    shape = shown[-1].depth.shape if typical is None else typical.shape
    background = (
        ""
        if typical is None
        else data_uri(resized(typical, shown_size(typical.shape[1], typical.shape[0], _SMALL_SIDE)), _SMALL_BYTES)
    )
    clouds = shown_frames.cloud_data(shown, labels, options.node)
    sections = [
        _notes(missing),
        figures.summary(statistics, source),
        figures.over_time(statistics, labels),
        scale_over_time(statistics),
        figures.error_by_place(statistics, background, shape[1] / shape[0], options.evaluator.crop),
        shown_frames.show_frames(shown, labels, statistics, options.node),
        shown_frames.show_clouds(clouds) if clouds else "",
    ]
    start = datetime.datetime.fromtimestamp(statistics.frames[0].stamp_ns / 1e9, datetime.timezone.utc)
    subtitle = f"{len(statistics.frames)} frames, starting at {start:%Y-%m-%d %H:%M:%S} UTC"
    return page.render(f"Depth report: {source.name}", subtitle, sections, clouds)


def _notes(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in missing)
    return f'<div class="notes"><b>Missing from this recording</b><ul>{items}</ul></div>'


def _missing(topics: Topics, statistics: RecordingStatistics, shown: Sequence[RecordedFrame]) -> list[str]:
    notes = []
    if not any(frame.image is not None for frame in shown):
        notes.append("No images: depth is shown by itself. Record the camera's image topic, or name it with --image.")
    if not topics.truth:
        notes.append("No ground_truth/image: there are no errors to show.")
    elif not statistics.metrics:
        notes.append("No depth image has comparable ground truth of its own stamp: there are no errors to show.")
    if all(frame.camera is None for frame in shown):
        notes.append("No camera_info that fits: there is no cloud. Record it, or name it with --camera-info.")
    if not statistics.latencies_ms()[0]:
        notes.append("No latency: depth was not recorded live, or stamps and recorder use different clocks.")
    if not topics.diagnostics:
        notes.append("No /diagnostics: model, stages and drops are known only if the run's summary has them.")
    return notes


class _FrameCounter:
    """Counts frames for a progress bar."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)
