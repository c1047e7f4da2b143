"""The page: puts a template, its style sheet and its scripts into one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from space_clip_ros import __version__

_FOLDER = files("space_clip_ros.tools.reporting") / "page"
_VIEWER_LICENCE = "three.LICENSE"


def render(title: str, subtitle: str, sections: Sequence[str], clouds: Mapping[str, Any] | None) -> str:
    """Return the whole page.

    Args:
        title: plain text.
        subtitle: plain text.
        sections: HTML.
        clouds: what the viewer shows, or None to leave it out.
    """
    scripts = [f"<script>\n{_asset('page.js')}</script>"]
    licence = ""
    if clouds is not None:
        content = json.dumps(clouds).replace("<", "\\u003c")
        scripts += [
            f'<script type="application/json" id="clouds">{content}</script>',
            f"<script>\n/*! three.js\n{_asset(_VIEWER_LICENCE)}*/\n{_asset('three.min.js')}</script>",
            f"<script>\n{_asset('viewer.js')}</script>",
        ]
        licence = " The cloud is drawn by three.js (MIT licence)."
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        style=stylesheet(),
        body="\n".join(section for section in sections if section),
        licence=licence,
        scripts="\n".join(scripts),
        version=__version__,
    )


def section(title: str, *content: str) -> str:
    """Return a section of HTML with a heading."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{''.join(content)}\n</section>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], wrap: bool = False) -> str:
    """Return a table of plain text, which gets a scroll bar where it is too wide.

    Args:
        head: headings.
        rows: cells.
        wrap: break long cells into lines, for text rather than numbers.
    """
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    kind = ' class="words"' if wrap else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def figure(content: str, caption: str) -> str:
    """Return HTML with a caption of plain text."""
    return f"<figure>{content}<figcaption>{escape(caption)}</figcaption></figure>"


def cards(named: Sequence[tuple[str, str]]) -> str:
    """Return cards; each of them has a value, and below it the name."""
    items = "".join(
        f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for name, value in named
    )
    return f'<div class="cards">{items}</div>'


def scale(ramp: str, ticks: Sequence[tuple[float, str]], what: str = "") -> str:
    """Return a colour scale from the HTML of its ramp, position in percent and label of each tick, and a heading."""
    # Labels are centred on their tick, except near the ends of the scale, where they must not stick out.
    marks = "".join(
        f'<span style="left:{at:.1f}%;transform:translateX(-{0 if at < 4 else 100 if at > 96 else 50}%)">'
        f"{escape(label)}</span>"
        for at, label in ticks
    )
    heading = f"<p>{escape(what)}</p>" if what else ""
    return f'<div class="scale">{heading}{ramp}<div class="ticks">{marks}</div></div>'


def comparison(below: str, above: str, what: str) -> str:
    """Return two pictures, one over the other, with a slider between them; both are data URIs of one size."""
    return (
        f'<div class="compare"><img src="{below}" alt="image, {escape(what)}">'
        f'<img src="{above}" alt="depth, {escape(what)}">'
        f'<input type="range" min="0" max="100" value="50" aria-label="image or depth, {escape(what)}"></div>'
    )


def picture(uri: str, what: str) -> str:
    """Return a picture with its description."""
    return f'<img src="{uri}" alt="{escape(what)}">'


def stylesheet() -> str:
    """Return the page's style sheet, so that other pages can look the same."""
    return _asset("page.css")


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
