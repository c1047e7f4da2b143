"""The errors of obstacles as a page of Markdown tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from obstacles.errors import DISTANCES_M, ObstacleErrors, Tally


def pixel_table(errors: Mapping[str, ObstacleErrors]) -> str:
    """Return the shares of obstacles found and of ground called obstacle, by distance; one row per course."""
    bands = [f"{near:g} to {far:g} m" for near, far in itertools.pairwise(DISTANCES_M)]
    rows = [("course", *bands, "sky", "frames without ground")]
    for course, course_errors in errors.items():
        pairs = [
            f"{_percent(share)} / {_percent(false)}"
            for share, false in zip(course_errors.found, course_errors.false, strict=True)
        ]
        rows.append(
            (course, *pairs, _percent(course_errors.sky), f"{course_errors.without_ground} of {course_errors.frames}")
        )
    return _table(rows)


def bearing_table(errors: Mapping[str, ObstacleErrors]) -> str:
    """Return how the scan's bearings compare with the truth; one row per course."""
    rows = [("course", "blocked bearings found", "open bearings called blocked", "range error, median", "90 %")]
    for course, course_errors in errors.items():
        wrong = np.asarray(course_errors.range_errors)
        middle, most = np.percentile(wrong, (50, 90)) * 100 if wrong.size else (math.nan, math.nan)
        rows.append(
            (
                course,
                _percent(course_errors.bearings_found),
                _percent(course_errors.bearings_false),
                f"{middle:.1f} %",
                f"{most:.1f} %",
            )
        )
    return _table(rows)


def _percent(tally: Tally) -> str:
    if not tally.total:
        return "-"
    return f"{tally.percent:.1f} %" if tally.percent >= 0.1 or not tally.count else "< 0.1 %"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)
