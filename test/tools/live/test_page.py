"""The page as it is served."""

from __future__ import annotations

import re

import pytest

from space_clip_ros import __version__
from space_clip_ros.tools.live import page
from space_clip_ros.tools.reporting.page import stylesheet


def test_it_names_no_other_host_and_has_the_reports_style() -> None:
    text = page.html()
    assert not re.search(r"https?://|//[a-z]", text + page.script())
    assert stylesheet() in text
    assert __version__ in text
    assert "$" not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)


def test_every_panel_has_its_canvas() -> None:
    pytest.importorskip("sensor_msgs.msg")
    from space_clip_ros.tools.live.panels import PANELS

    assert set(re.findall(r'<canvas id="(\w+)"', page.html())) == {"image", "depth", *PANELS}


def test_the_scale_is_the_nodes() -> None:
    text = page.depth_bar(0.1, 10.0, "turbo")
    assert "10 m</span>" in text
    assert "20 m</span>" not in text
    assert text != page.depth_bar(0.1, 10.0, "magma")
    assert 'class="ticks"' not in page.html().partition('id="uncertainty"')[0], "not before the node has said it"
