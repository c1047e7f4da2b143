"""The section about the scale, from reports as the node makes them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from space_clip_ros.messages.diagnostics import DepthValues
from space_clip_ros.tools.reporting.frame_statistics import FrameStatistics, RecordingStatistics, ScaleReport
from space_clip_ros.tools.reporting.scale_figures import scale_over_time

S = 10**9


def statistics(*reports: DepthValues) -> RecordingStatistics:
    scale = [ScaleReport(second * S, values) for second, values in enumerate(reports)]
    return RecordingStatistics([FrameStatistics(0, 0, None)], {}, {}, None, [], [], DepthValues(), scale)


def report(factor: float | None, **changes: Any) -> DepthValues:
    return DepthValues(scale_mode="camera_height", scale_factor=factor, scale_sigma=0.1, **changes)


def test_the_factor_is_drawn_with_its_standard_deviation() -> None:
    html = scale_over_time(statistics(report(None), report(1.0), report(1.1), report(1.2)))
    assert "<h2>Scale while running</h2>" in html
    assert "with scale.mode camera_height" in html
    (band,) = re.findall(r'<polygon class="band" points="([^"]+)"', html)
    # Three reports have a factor: three corners on top, three below.
    corners = [float(corner.split(",")[1]) for corner in band.split()]
    assert len(corners) == 6
    # The deviation is that of the factor's logarithm: 1.2 reaches from 1.2 / 1.105 to 1.2 * 1.105.
    (path,) = re.findall(r'<path class="line line-0" d="([^"]+)"', html)
    middle = float(path.rsplit(" ", 1)[1])
    assert (middle - corners[2]) / (corners[3] - middle) == pytest.approx(np.exp(0.1), rel=0.02)
    assert "<table" not in html


def test_evidence_and_reasons_are_counted_whatever_their_numbers() -> None:
    used = report(1.0, scale_evidence="camera height", scale_problem="")
    tilted = [
        report(1.0, scale_evidence="", scale_problem=f"camera height: the ground in view is tilted by {by} degrees")
        for by in ("+3.1", "-4.0", "+5.25")
    ]
    html = scale_over_time(statistics(used, used, *tilted, report(1.0, scale_problem="ranges: <none>")))
    assert "<td>used</td><td>camera height</td><td>2</td>" in html
    tilt = "<td>camera height: the ground in view is tilted by … degrees</td><td>3</td>"
    assert f"<td>not used</td>{tilt}" in html
    assert "<td>ranges: &lt;none&gt;</td><td>1</td>" in html
    assert html.count("<td>not used</td>") == 2


def test_without_a_scale_there_is_no_section() -> None:
    assert scale_over_time(statistics()) == ""
    assert scale_over_time(statistics(report(None))) == ""
