"""The page's section about the metric scale that the node found while it ran."""

from __future__ import annotations

import math
from collections import Counter

from space_clip_ros.evaluation.scale_measurement import without_numbers
from space_clip_ros.tools.reporting import page
from space_clip_ros.tools.reporting.charts import line_chart
from space_clip_ros.tools.reporting.frame_statistics import RecordingStatistics, ScaleReport

_MOST_ROWS = 8


def scale_over_time(statistics: RecordingStatistics) -> str:
    """Return the section with the factor and its standard deviation over time, and why evidence was not used.

    It is empty if the recorded diagnostics have no scale.
    """
    reports = [
        report
        for report in statistics.scale
        if report.values.scale_factor is not None and report.values.scale_sigma is not None
    ]
    if not reports:
        return ""
    start = min(frame.arrived_ns for frame in statistics.frames)
    # The node reports for some time before the first image.
    seconds = [(report.arrived_ns - start) / 1e9 for report in reports]
    factors = [report.values.scale_factor or 0.0 for report in reports]
    # The filter's deviation is that of the factor's logarithm.
    spreads = [math.exp(report.values.scale_sigma or 0.0) for report in reports]
    lower = [factor / spread for factor, spread in zip(factors, spreads, strict=True)]
    upper = [factor * spread for factor, spread in zip(factors, spreads, strict=True)]
    chart = line_chart([("factor", seconds, factors)], "seconds", "factor on depth", band=(lower, upper))
    rows = [
        *(("used", evidence, f"{count}") for evidence, count in _counts(reports, "scale_evidence")),
        *(("not used", problem, f"{count}") for problem, count in _counts(reports, "scale_problem")),
    ]
    mode = reports[-1].values.scale_mode
    return page.section(
        "Scale while running",
        '<div class="columns">',
        page.figure(chart, f"The factor on depth with scale.mode {mode}; shaded is one standard deviation."),
        f"<div>{page.table(('evidence', '', 'reports'), rows, wrap=True)}</div>" if rows else "",
        "</div>",
    )


def _counts(reports: list[ScaleReport], key: str) -> list[tuple[str, int]]:
    """Return the commonest texts; those that differ only in a number, such as an angle, count as one."""
    texts = (without_numbers(text) for report in reports if (text := getattr(report.values, key)))
    return Counter(texts).most_common(_MOST_ROWS)
