"""The page's sections of figures: a summary, what changed over time, and where the errors are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from space_clip_ros.evaluation.metrics import METRICS
from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.tools.reporting import page
from space_clip_ros.tools.reporting.charts import bar_chart, grid_chart, line_chart
from space_clip_ros.tools.reporting.errors_by_place import COLUMNS, EDGES_M, ROWS, MeanErrors
from space_clip_ros.tools.reporting.frame_statistics import RecordingStatistics
from space_clip_ros.tools.reporting.recording import ReportSource
from space_clip_ros.tools.reporting.scale_words import scale_cards

_FACTS = ("model", "backend", "device", "precision")
_PERCENTILES = ("p50", "p95", "p99", "max")


def summary(statistics: RecordingStatistics, source: ReportSource) -> str:
    """Return the section with the main figures, and tables of the others."""
    node = statistics.node
    return page.section(
        "Summary",
        page.cards(_cards(statistics, source.summary)),
        '<div class="columns" style="margin-top:16px">',
        _metrics_table(statistics),
        _latency_table(source.summary),
        _stage_table(source.summary, node),
        _facts_table(source.summary, node),
        "</div>",
    )


def over_time(statistics: RecordingStatistics, labels: Mapping[int, str]) -> str:
    """Return the section with charts of latency, rate and error; ``labels`` are those of single frames, by stamp."""
    start = min(frame.arrived_ns for frame in statistics.frames)
    seconds = [(frame.arrived_ns - start) / 1e9 for frame in statistics.frames]
    latencies, origin = statistics.latencies_ms()
    charts = []
    if latencies:
        lines = [("latency", seconds, latencies)]
        charts.append(
            page.figure(line_chart(lines, "seconds", "ms"), f"Latency: {origin} until its depth was recorded on disk.")
        )
    charts.append(_rate_chart(statistics, start))
    if statistics.metrics:
        errors = [(frame.metrics or {}).get("abs_rel", math.nan) for frame in statistics.frames]
        marks = [
            (second, error, labels[frame.stamp_ns])
            for second, error, frame in zip(seconds, errors, statistics.frames, strict=True)
            if frame.stamp_ns in labels and not math.isnan(error)
        ]
        caption = "Error of each frame against the ground truth; the frames shown below are marked."
        charts.append(page.figure(line_chart([("abs_rel", seconds, errors)], "seconds", "abs_rel", marks), caption))
    if any(frame.uncertainty is not None for frame in statistics.frames):
        medians = [math.nan if frame.uncertainty is None else frame.uncertainty for frame in statistics.frames]
        chart = line_chart([("median", seconds, medians)], "seconds", "share of depth")
        charts.append(page.figure(chart, "Uncertainty: one standard deviation, median over each image."))
    return page.section("Over time", '<div class="columns">', *charts, "</div>")


def error_by_place(statistics: RecordingStatistics, background: str, aspect: float, crop: str) -> str:
    """Return the section with errors by distance and by image region; empty without truth.

    Args:
        statistics: of the recording.
        background: data URI of a typical image, or empty.
        aspect: the image's width over its height.
        crop: name of the crop that counts by distance.
    """
    if not statistics.metrics:
        return ""
    names = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(EDGES_M)]
    bars = [(name, errors.abs_rel) for name, errors in zip(names, statistics.by_distance, strict=True)]
    rows = [
        (f"{name} m", *_cells(errors))
        for name, errors in zip(names, statistics.by_distance, strict=True)
        if errors.pixels
    ]
    regions = [errors.abs_rel for errors in statistics.by_region]
    return page.section(
        "Where the errors are",
        '<div class="columns"><div>',
        page.figure(bar_chart(bars, "distance, m", "abs_rel"), f"Mean over pixels, crop {crop}."),
        "</div><div>",
        page.figure(
            grid_chart(regions, ROWS, COLUMNS, aspect, background, "abs_rel by region of the image"),
            "abs_rel by region of the whole image, over all frames; empty where there is no truth. "
            "Bias in the table is the mean of (depth - truth) / truth: above 0 is too far.",
        ),
        page.table(("distance", "abs_rel", "bias", "a1", "pixels"), rows),
        "</div></div>",
    )


def _cards(statistics: RecordingStatistics, run: Mapping[str, Any]) -> list[tuple[str, str]]:
    # On a busy machine the recorder may miss images; the run's summary knows how many were sent.
    frames, images = len(statistics.frames), run.get("frames_sent") or len(statistics.images_ns)
    cards = [("frames with depth", f"{frames} of {images}" if images else f"{frames}")]
    rate = statistics.rate_hz()
    if rate:
        cards.append(("depth images per second", f"{rate:.1f} Hz"))
    latency = _headline_latency(statistics, run)
    if latency:
        origin, p50, p95 = latency
        cards += [(f"latency p50, {origin}", f"{p50:.0f} ms"), ("latency p95", f"{p95:.0f} ms")]
    if statistics.metrics:
        cards += [
            ("abs_rel", f"{statistics.metrics['abs_rel']:.3f}"),
            ("within 25 % (a1)", f"{statistics.metrics['a1']:.1%}"),
        ]
    if statistics.coverage is not None:
        cards.append(("of true pixels have depth", f"{statistics.coverage:.1%}"))
    if statistics.uncertainty is not None:
        within = (statistics.uncertainty.within_1_sigma, statistics.uncertainty.within_2_sigma)
        cards.append(
            (
                "of true pixels lie within one and two sigma (68% and 95% would be right)",
                " and ".join(f"{share:.0%}" for share in within),
            )
        )
    return [*cards, *((name, value) for value, name in scale_cards(statistics.node))]


def _headline_latency(statistics: RecordingStatistics, run: Mapping[str, Any]) -> tuple[str, float, float] | None:
    """Return the start and end of the latency as text, its median and 95th percentile, ms; None if unknown.

    A recorder writes every message to the disk, so it gets them later than other subscribers.
    """
    subscriber = run.get("latency_ms")
    if isinstance(subscriber, dict) and {"p50", "p95"} <= subscriber.keys():
        return "stamp to a subscriber's last output", subscriber["p50"], subscriber["p95"]
    latencies, origin = statistics.latencies_ms()
    if not latencies:
        return None
    p50, p95 = np.nanpercentile(latencies, (50, 95))
    return f"{origin} to the recorder", float(p50), float(p95)


def _rate_chart(statistics: RecordingStatistics, start: int) -> str:
    """Draw how many depth images and images were recorded in each second."""
    arrived = (np.array([frame.arrived_ns for frame in statistics.frames]) - start) / 1e9
    lines = [("depth", *_rates(arrived, float(arrived.max())))]
    if statistics.images_ns:
        images = (np.array(list(statistics.images_ns.values())) - start) / 1e9
        lines.append(("images", *_rates(images[images >= 0], float(arrived.max()))))
    return page.figure(line_chart(lines, "seconds", "Hz"), "Rate: messages recorded in each second.")


def _rates(seconds: Any, end: float) -> tuple[list[float], list[float]]:
    """Return steps of about a second each and the messages per second in them; a shorter recording is one step.

    Messages are counted from the last one before a step to the last one in it, so an even rate is an even line.
    """
    times, edges = np.sort(seconds), np.linspace(0.0, max(end, 1e-9), max(1, int(end)) + 1)
    last = np.maximum(np.searchsorted(times, edges, side="right") - 1, 0)
    rates = [
        (there - here) / (times[there] - times[here]) if there > here else 0.0
        for here, there in itertools.pairwise(last)
    ]
    return np.repeat(edges, 2)[1:-1].tolist(), np.repeat(rates, 2).tolist()


def _metrics_table(statistics: RecordingStatistics) -> str:
    if not statistics.metrics:
        return ""
    rows = [(name, f"{statistics.metrics[name]:.4f}") for name in METRICS]
    return f"<div>{page.table(('error, mean over frames', ''), rows)}</div>"


def _latency_table(run: Mapping[str, Any]) -> str:
    outputs = run.get("latency_ms", {}).get("outputs", {}) if isinstance(run.get("latency_ms"), dict) else {}
    rows = [
        (name, *(f"{figures.get(key, math.nan):.1f}" for key in _PERCENTILES))
        for name, figures in outputs.items()
        if figures
    ]
    return f"<div>{page.table(('stamp to arrival, ms', *_PERCENTILES), rows)}</div>" if rows else ""


def _stage_table(run: Mapping[str, Any], node: DepthValues) -> str:
    stages = run.get("stages_ms") or node.stages_ms
    rows = [(name, f"{float(value):.2f}") for name, value in stages.items()]
    return f"<div>{page.table(('stage in the node', 'ms'), rows)}</div>" if rows else ""


def _facts_table(run: Mapping[str, Any], node: DepthValues) -> str:
    drops = run.get("drops") or {reason.value: count for reason, count in node.dropped_by.items()}
    machine = run.get("machine") if isinstance(run.get("machine"), dict) else {}
    facts = {
        **{name: run.get(name) or getattr(node, name) for name in _FACTS},
        "drive": run.get("drive"),
        **{f"dropped: {reason}": count for reason, count in drops.items()},
        **{name: (machine or {}).get(name) for name in ("processor", "cores", "system", "python")},
    }
    rows = [(name, str(value)) for name, value in facts.items() if value is not None]
    return f"<div>{page.table(('what ran', ''), rows, wrap=True)}</div>" if rows else ""


def _cells(errors: MeanErrors) -> Sequence[str]:
    return f"{errors.abs_rel:.3f}", f"{errors.bias:+.3f}", f"{errors.a1:.1%}", f"{errors.pixels}"
