"""The page and its script; they load nothing from other hosts."""

from __future__ import annotations

import functools
from pathlib import Path
from string import Template

from space_clip_ros import __version__
from space_clip_ros.config import ColorConfig, NodeConfig
from space_clip_ros.tools.reporting import page
from space_clip_ros.tools.reporting.pictures import depth_scale
from space_clip_ros.tools.reporting.uncertainty_picture import uncertainty_scale

_FOLDER = Path(__file__).with_name("page")
_TICKS_M = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0)


def html() -> str:
    """Return the page's HTML, without the scale of the depth colours, which depends on the node's parameters."""
    uncertainty_ramp, uncertainty_ticks = uncertainty_scale()
    return Template(_asset("live.html")).substitute(
        style=page.stylesheet() + _asset("live.css"),
        uncertainty_scale=page.scale(
            page.picture(uncertainty_ramp, "colours of uncertainty, sure to unsure"), uncertainty_ticks
        ),
        version=__version__,
    )


@functools.lru_cache(maxsize=8)
def depth_bar(min_depth: float, max_depth: float, colormap: str) -> str:
    """Return the HTML of the scale of the depth colours of a node with these parameters, metres."""
    node = NodeConfig(min_depth=min_depth, max_depth=max_depth, color=ColorConfig(colormap=colormap))
    ramp, ticks = depth_scale(node, _TICKS_M)
    return page.scale(page.picture(ramp, "colours of depth, near to far"), ticks)


def script() -> str:
    """Return the page's JavaScript."""
    return _asset("live.js")


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
