from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from space_clip_ros.tools.reporting.charts import bar_chart, grid_chart, line_chart


def svg(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.partition("<p ")[0])


def words(text: str) -> list[str]:
    return [element.text or "" for element in svg(text).iter("text")]


def test_a_line_is_where_its_values_are() -> None:
    chart = line_chart([("rate", [0, 5, 10], [0.0, 10.0, 5.0])], "seconds", "Hz")
    path = svg(chart).find("path")
    assert path is not None
    assert path.attrib["d"] == "M54.0 194.0L242.0 12.0L430.0 103.0"
    assert words(chart) == ["0", "2", "4", "6", "8", "10", "Hz", "0", "2", "4", "6", "8", "10", "seconds"]


def test_a_band_is_shaded_and_the_axis_covers_only_what_there_is() -> None:
    chart = line_chart([("factor", [0, 10], [1.0, 1.1])], "s", "factor", band=([0.9, 1.0], [1.1, 1.2]))
    # From 0.9 to 1.2 the axis has steps of 0.1: 0.9 to 1.4, and 0.1 is 36.4 pixels.
    assert words(chart)[:6] == ["0.9", "1", "1.1", "1.2", "1.3", "1.4"]
    path, band = svg(chart).find("path"), svg(chart).find("polygon")
    assert path is not None and band is not None
    assert path.attrib["d"] == "M54.0 157.6L430.0 121.2"
    assert band.attrib["points"] == "54.0,121.2 430.0,84.8 430.0,157.6 54.0,194.0"


@pytest.mark.parametrize(("low", "high"), [(0.8, 1.2), (0.99, 1.01), (1.0, 1.0), (0.3, 7.7), (0.949, 1.051)])
def test_a_bands_axis_holds_it_all(low: float, high: float) -> None:
    chart = line_chart([("f", [0, 1], [low, high])], "s", "f", band=([low, low], [high, high]))
    polygon = svg(chart).find("polygon")
    assert polygon is not None
    rows = [float(point.split(",")[1]) for point in polygon.attrib["points"].split()]
    assert 12.0 <= min(rows) <= max(rows) <= 194.0


def test_unknown_values_break_the_line() -> None:
    path = svg(line_chart([("a", [0, 1, 2, 3], [1.0, math.nan, 2.0, 3.0])], "s", "ms")).find("path")
    assert path is not None
    assert path.attrib["d"].count("M") == 2
    assert "nan" not in path.attrib["d"]


def test_a_long_recording_keeps_its_peaks_in_few_points() -> None:
    values = np.ones(100_000)
    values[77_777] = 50.0
    path = svg(line_chart([("a", range(100_000), values.tolist())], "s", "ms")).find("path")
    assert path is not None
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", path.attrib["d"])
    assert len(points) <= 400
    assert min(float(y) for _, y in points) == 12.0


def test_a_point_between_gaps_is_a_dot_and_one_value_of_x_has_an_axis() -> None:
    chart = line_chart([("a", [3.0], [5.0])], "seconds", "Hz")
    assert re.search(r' d="M[\d.]+ [\d.]+h0"', chart)
    ticks = re.findall(r">([\d.]+)</text>", chart)
    assert {"2.6", "3", "3.4"} <= set(ticks)
    gaps = line_chart([("a", [0.0, 1.0, 2.0, 3.0], [1.0, math.nan, 1.0, 2.0])], "seconds", "Hz")
    assert re.search(r' d="M[\d.]+ [\d.]+h0M[\d.]+ [\d.]+L[\d.]+ [\d.]+"', gaps)


def test_a_single_point_and_zeros_can_be_drawn() -> None:
    for chart in (line_chart([("a", [3.0], [0.0])], "s", "ms"), bar_chart([("0-5", math.nan)], "m", "abs_rel")):
        assert "nan" not in chart
        assert svg(chart).tag == "svg"


def test_labels_of_marks_do_not_cover_each_other_and_are_escaped() -> None:
    marks = [(0.0, 1.0, "<worst>"), (0.01, 1.0, "second"), (9.0, 1.0, "third")]
    chart = line_chart([("a", [0, 9], [1.0, 1.0])], "s", "abs_rel", marks)
    rows = [float(element.attrib["y"]) for element in svg(chart).iter("text") if element.attrib["class"] == "mark-word"]
    assert rows[1] - rows[0] >= 13
    assert rows[2] == rows[0]
    assert "&lt;worst&gt;" in chart


def test_several_lines_have_a_legend() -> None:
    assert "depth" not in line_chart([("depth", [0], [1.0])], "s", "Hz").partition("</svg>")[2]
    assert line_chart([("depth", [0], [1.0]), ("images", [0], [1.0])], "s", "Hz").count('class="key') == 2


def test_bars_are_as_high_as_their_values() -> None:
    chart = svg(bar_chart([("0-5", 0.1), ("5-10", math.nan), ("10-20", 0.2)], "distance, m", "abs_rel"))
    heights = [float(bar.attrib["height"]) for bar in chart.iter("rect")]
    assert heights == [72.8, 145.6]


def test_a_grid_shows_known_values_in_their_cells() -> None:
    chart = svg(grid_chart([0.1, math.nan, 0.2, 0.4], 2, 2, 2.0, "data:image/jpeg;base64,AAAA", "abs_rel"))
    cells = [(cell.attrib["x"], cell.attrib["y"]) for cell in chart.iter("rect")]
    assert cells == [("0.0", "0.0"), ("0.0", "160.0"), ("320.0", "160.0")]
    assert [element.text for element in chart.iter("text")] == ["0.10", "0.20", "0.40"]
    assert chart.find("image") is not None
