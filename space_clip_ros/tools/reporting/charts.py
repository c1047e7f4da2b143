"""Charts as inline SVG. Their colours come from the page's style sheet, and follow its light and dark themes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 440, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 10, 12, 36
# Longer lines are drawn by the lowest and the highest value of each stretch.
_MOST_POINTS = 400
_TICKS = 5

Values = NDArray[np.float64]
ToPixel = Callable[[float, float], tuple[float, float]]


def line_chart(
    lines: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    x_label: str,
    y_label: str,
    marks: Sequence[tuple[float, float, str]] = (),
    band: tuple[Sequence[float], Sequence[float]] | None = None,
) -> str:
    """Draw lines over time, from zero upwards; with a band, the axis covers only its values.

    Args:
        lines: name, x and y of each; the line has a gap where y is NaN.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        marks: x, y and label of single points.
        band: lower and upper end, at each x of the first line, of an area shaded behind the line.
    """
    every_x = np.concatenate([np.asarray(x, np.float64) for _, x, _ in lines])
    every_y = np.concatenate([np.asarray(y, np.float64) for y in (*(y for _, _, y in lines), *(band or ()))])
    bottom, top = _nice_range(every_y) if band else (0.0, _TICKS * _nice_step(_highest(every_y)))
    low, high = float(every_x.min()), float(every_x.max())
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5

    def to_pixel(x: float, y: float) -> tuple[float, float]:
        return _LEFT + (x - low) / (high - low) * _inner_width(), _TOP + (top - y) / (top - bottom) * _inner_height()

    shapes = [_y_axis(bottom, top, y_label), _x_axis(low, high, x_label)]
    if band:
        shapes.append(_shaded(np.asarray(lines[0][1], np.float64), *band, to_pixel))
    for number, (name, x, y) in enumerate(lines):
        points = _path(*_thinned(np.asarray(x, np.float64), np.asarray(y, np.float64)), to_pixel)
        shapes.append(f'<path class="line line-{number}" d="{points}"><title>{escape(name)}</title></path>')
    shapes += _marks([(*to_pixel(x, y), label) for x, y, label in marks])
    return _svg(shapes, f"{y_label} over {x_label}") + _legend([name for name, _, _ in lines])


def bar_chart(bars: Sequence[tuple[str, float]], x_label: str, y_label: str) -> str:
    """Draw one bar for each name; NaN leaves a gap."""
    top = _TICKS * _nice_step(_highest([value for _, value in bars]))
    step = _inner_width() / len(bars)
    shapes = [_y_axis(0.0, top, y_label)]
    for number, (name, value) in enumerate(bars):
        x = _LEFT + number * step
        middle = x + step / 2
        shapes.append(_text(middle, _HEIGHT - _BOTTOM + 15, name, "tick", "middle"))
        if not math.isnan(value):
            height = value / top * _inner_height()
            y = _TOP + _inner_height() - height
            shapes.append(
                f'<rect class="bar" x="{x + step * 0.12:.1f}" y="{y:.1f}" width="{step * 0.76:.1f}" '
                f'height="{height:.1f}" rx="2"><title>{escape(name)}: {value:.3f}</title></rect>'
            )
    shapes.append(_text(_LEFT + _inner_width() / 2, _HEIGHT - 4, x_label, "label", "middle"))
    return _svg(shapes, f"{y_label} by {x_label}")


def grid_chart(values: Sequence[float], rows: int, columns: int, aspect: float, background: str, what: str) -> str:
    """Draw a grid of values over a picture; the higher a value, the stronger the colour of its cell.

    Args:
        values: row by row; NaN leaves a cell empty.
        rows: number of rows.
        columns: number of columns.
        aspect: the picture's width over its height.
        background: data URI of the picture, or empty.
        what: what the values are, for screen readers.
    """
    width, height = 640.0, 640.0 / aspect
    highest = _highest(values) or 1.0
    shapes = [
        f'<image href="{background}" width="{width:g}" height="{height:.1f}" opacity="0.45"/>' if background else ""
    ]
    for number, value in enumerate(values):
        if math.isnan(value):
            continue
        x, y = number % columns * width / columns, number // columns * height / rows
        shapes.append(
            f'<rect class="cell" x="{x:.1f}" y="{y:.1f}" width="{width / columns:.1f}" height="{height / rows:.1f}" '
            f'fill-opacity="{0.15 + 0.7 * value / highest:.2f}"/>'
            f'<text class="cell-word" x="{x + width / columns / 2:.1f}" y="{y + height / rows / 2 + 7:.1f}" '
            f'text-anchor="middle">{value:.2f}</text>'
        )
    return (
        f'<svg class="grid" viewBox="0 0 {width:g} {height:.1f}" role="img" aria-label="{escape(what)}">'
        f"{''.join(shapes)}</svg>"
    )


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    keys = "".join(f'<span class="key key-{number}"></span>{escape(name)}' for number, name in enumerate(names))
    return f'<p class="legend">{keys}</p>'


def _highest(values: Sequence[float] | Values) -> float:
    """Return the largest value, or 0 if all are NaN."""
    known = np.asarray(values, np.float64)
    return float(known[~np.isnan(known)].max(initial=0.0))


def _inner_width() -> int:
    return _WIDTH - _LEFT - _RIGHT


def _inner_height() -> int:
    return _HEIGHT - _TOP - _BOTTOM


def _thinned(x: Values, y: Values) -> tuple[Values, Values]:
    """Return at most about :data:`_MOST_POINTS` points that still show every peak."""
    if len(x) <= _MOST_POINTS:
        return x, y
    kept: list[int] = []
    for stretch in np.array_split(np.arange(len(x)), _MOST_POINTS // 2):
        known = stretch[~np.isnan(y[stretch])]
        if known.size:
            kept += sorted({int(known[np.argmin(y[known])]), int(known[np.argmax(y[known])])})
    return x[kept], y[kept]


def _path(x: Values, y: Values, to_pixel: ToPixel) -> str:
    commands, pen = [], "M"
    heights = [*y.tolist(), math.nan]
    for x_value, y_value, following in zip(x.tolist(), heights, heights[1:], strict=False):
        if math.isnan(y_value):
            pen = "M"
            continue
        column, row = to_pixel(x_value, y_value)
        # A line of no length, with its round ends, is a dot: a point between gaps.
        commands.append(f"{pen}{column:.1f} {row:.1f}{'h0' if pen == 'M' and math.isnan(following) else ''}")
        pen = "L"
    return "".join(commands)


def _marks(marks: Sequence[tuple[float, float, str]]) -> list[str]:
    """Draw labelled dots; a label that would cover another one moves down."""
    shapes: list[str] = []
    taken: list[tuple[float, float]] = []
    for x, y, label in marks:
        anchor, side = ("end", -7) if x > _WIDTH / 2 else ("start", 7)
        row = y + 4
        while any(abs(row - other_row) < 13 and abs(x - other_x) < 110 for other_x, other_row in taken):
            row += 13
        taken.append((x, row))
        shapes.append(f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        shapes.append(_text(x + side, row, label, "mark-word", anchor))
    return shapes


def _nice_step(span: float) -> float:
    """Return a round number that fits about :data:`_TICKS` times into ``span``."""
    step = max(span, 1e-9) / _TICKS
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))


def _nice_range(values: Values) -> tuple[float, float]:
    """Return round ends of an axis of :data:`_TICKS` steps that holds all values."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    step = _nice_step(high - low)
    while (bottom := math.floor(low / step) * step) + _TICKS * step < high:
        step = _nice_step(_TICKS * step * 1.01)
    return bottom, bottom + _TICKS * step


def _shaded(x: Values, lower: Sequence[float], upper: Sequence[float], to_pixel: ToPixel) -> str:
    """Shade the area between two lines."""
    there = [to_pixel(*point) for point in zip(x.tolist(), upper, strict=True)]
    back = [to_pixel(*point) for point in zip(x.tolist(), lower, strict=True)]
    corners = " ".join(f"{column:.1f},{row:.1f}" for column, row in (*there, *reversed(back)))
    return f'<polygon class="band" points="{corners}"/>'


def _y_axis(bottom: float, top: float, label: str) -> str:
    shapes = []
    for number in range(_TICKS + 1):
        y = _TOP + _inner_height() * (1 - number / _TICKS)
        shapes.append(f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        shapes.append(_text(_LEFT - 6, y + 4, f"{bottom + (top - bottom) * number / _TICKS:.4g}", "tick", "end"))
    middle = _TOP + _inner_height() / 2
    turned = f'transform="rotate(-90 11 {middle:.1f})"'
    shapes.append(f'<text class="label" x="11" y="{middle:.1f}" text-anchor="middle" {turned}>{escape(label)}</text>')
    return "".join(shapes)


def _x_axis(low: float, high: float, label: str) -> str:
    shapes = []
    step = _nice_step(high - low)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        x = _LEFT + (number * step - low) / (high - low) * _inner_width()
        shapes.append(_text(min(x, _WIDTH - 14), _HEIGHT - _BOTTOM + 15, f"{number * step:g}", "tick", "middle"))
    shapes.append(_text(_LEFT + _inner_width() / 2, _HEIGHT - 4, label, "label", "middle"))
    return "".join(shapes)


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(shapes: Sequence[str], what: str) -> str:
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg class="chart" {box} role="img" aria-label="{escape(what)}">{"".join(shapes)}</svg>'
