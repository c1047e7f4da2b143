"""Writes the report of a recording: everything is read from the bag in two passes, and in a third for the film."""

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
from space_clip_ros.tools.reporting import figures, frames, page
from space_clip_ros.tools.reporting.frame_statistics import Survey, survey
from space_clip_ros.tools.reporting.pictures import data_uri, resized, shown_size
from space_clip_ros.tools.reporting.recorded_frames import Moment, read_moments
from space_clip_ros.tools.reporting.recording import Source, Topics, find_source, find_topics
from space_clip_ros.tools.reporting.video import write_video

MAX_BYTES = 10_000_000
"""No page is larger."""

_SMALL_SIDE = 640
_SMALL_BYTES = 60_000
_USUAL_HZ = 10.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReportOptions:
    """What to report, and how errors are counted.

    Args:
        topics: names to take instead of the node's own.
        evaluator: depth range and crop of the errors.
        node: depth range and colours of the pictures.
        video: also write a film here.
    """

    topics: Topics = field(default_factory=Topics)
    evaluator: EvaluatorConfig = field(default_factory=EvaluatorConfig)
    node: NodeConfig = field(default_factory=NodeConfig)
    video: Path | None = None


class Written(NamedTuple):
    """What was written.

    Attributes:
        frames: with depth.
        size: of the page, bytes.
        missing: what the recording lacks, in words.
        film_frames: frames of the film, 0 without one.
    """

    frames: int
    size: int
    missing: tuple[str, ...]
    film_frames: int


def write_report(
    path: str | Path, out: Path, options: ReportOptions, progress: Progress = lambda done, total: None
) -> Written:
    """Write a run's or bag's report.

    Args:
        path: see :func:`~space_clip_ros.tools.reporting.recording.find_source`.
        out: the page, whole or not at all.
        options: see there.
        progress: called with frames done and to do.

    Raises:
        DataError: no such recording, damaged, without depth, or a file cannot be written.
        InputError: topics that the bag lacks, or limits that cannot be used.
    """
    source = find_source(path)
    with BagReader(source.bag) as bag:
        topics = find_topics(bag, options.topics)
        count = _Count(progress, bag.topics[topics.depth].count * (2 if options.video else 1))
        limits = (options.evaluator.min_depth, options.evaluator.max_depth, options.evaluator.crop)
        found = survey(bag, topics, limits, count)
        words = frames.choose(found)
        moments = {moment.stamp_ns: moment for moment in read_moments(bag, topics, words)}
        shown = [moments[stamp] for stamp in words]
        missing = (*source.notes, *_missing(topics, found, shown))
        content = _page(source, found, shown, words, missing, options).encode()
        if len(content) > MAX_BYTES:
            raise DataError(f"{out}: the page would take {len(content)} bytes, more than {MAX_BYTES}")
        film_frames = 0
        if options.video:
            rate = figures.rate_hz(found) or _USUAL_HZ
            film_frames = write_video(options.video, bag, topics, rate, options.node, count)
    write_whole(out, content)
    return Written(len(found.frames), len(content), missing, film_frames)


def _page(
    source: Source,
    found: Survey,
    shown: Sequence[Moment],
    words: Mapping[int, str],
    missing: Sequence[str],
    options: ReportOptions,
) -> str:
    # The last one chosen is the typical one.
    typical = next((moment.image for moment in reversed(shown) if moment.image is not None), None)
    shape = shown[-1].depth.shape if typical is None else typical.shape
    background = (
        ""
        if typical is None
        else data_uri(resized(typical, shown_size(typical.shape[1], typical.shape[0], _SMALL_SIDE)), _SMALL_BYTES)
    )
    clouds = frames.cloud_data(shown, words, options.node)
    sections = [
        _notes(missing),
        figures.summary(found, source),
        figures.over_time(found, words),
        figures.error_by_place(found, background, shape[1] / shape[0], options.evaluator.crop),
        frames.show_frames(shown, words, found, options.node),
        frames.show_clouds(clouds) if clouds else "",
    ]
    begun = datetime.datetime.fromtimestamp(found.frames[0].stamp_ns / 1e9, datetime.timezone.utc)
    subtitle = f"{len(found.frames)} frames from {begun:%Y-%m-%d %H:%M:%S} UTC on"
    return page.render(f"Depth report: {source.name}", subtitle, sections, clouds)


def _notes(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in missing)
    return f'<div class="notes"><b>Missing from this recording</b><ul>{items}</ul></div>'


def _missing(topics: Topics, found: Survey, shown: Sequence[Moment]) -> list[str]:
    notes = []
    if not any(moment.image is not None for moment in shown):
        notes.append("No images: depth is shown by itself. Record the camera's image topic, or name it with --image.")
    if not topics.truth:
        notes.append("No ground_truth/image: there are no errors to show.")
    elif not found.metrics:
        notes.append("No depth has ground truth of its own stamp that counts: there are no errors to show.")
    if all(moment.camera is None for moment in shown):
        notes.append("No camera_info that fits: there is no cloud. Record it, or name it with --camera-info.")
    if not found.latencies_ms()[0]:
        notes.append("No latency: depth was not recorded live, or stamps and recorder have different clocks.")
    if not topics.diagnostics:
        notes.append("No /diagnostics: what ran, its stages and drops are only known where the run's summary says so.")
    return notes


class _Count:
    """Counts frames for a progress bar."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)
