"""The page in a real browser, as wide as a desktop's and as a phone's."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from space_clip_ros.config import EvaluatorConfig
from space_clip_ros.tools.reporting.report import ReportOptions, write_report

Write = Callable[..., Path]
BROKEN = "[...document.images].filter((image) => !image.complete || !image.naturalWidth).length"
# WebGL's pixels can only be read while they are drawn, so the cloud is looked at in screenshots.
CANVAS = "(() => { const box = document.querySelector('#viewer canvas').getBoundingClientRect();"
CANVAS += "return [box.x, box.y, box.width, box.height]; })()"
POINTS = "Number(document.getElementById('viewer').dataset.points)"


@pytest.fixture()
def page(write_recording: Write, tmp_path: Path) -> Path:
    out = tmp_path / "report.html"
    write_report(
        write_recording(tmp_path / "drive", frames=8), out, ReportOptions(evaluator=EvaluatorConfig(crop="none"))
    )
    return out


def seen_cloud(browser: Any) -> np.ndarray:
    """The part of a screenshot that shows the cloud, (H, W, 3)."""
    browser.ask("document.getElementById('viewer').scrollIntoView({block: 'center'})")
    browser.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    x, y, width, height = browser.ask(CANVAS)
    ratio = browser.ask("window.devicePixelRatio")
    screen = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    left, top, right, bottom = (round(value * ratio) for value in (x, y, x + width, y + height))
    return screen[max(top, 0) : bottom, max(left, 0) : right]


def until(changed: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 40
    while not changed():
        if time.monotonic() > deadline:
            return False
    return True


@pytest.mark.parametrize(("width", "height", "phone"), [(1280, 900, False), (390, 844, True)])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_whole_at_every_width(
    browser: Any, page: Path, width: int, height: int, phone: bool, dark: bool
) -> None:
    browser.open(page, width, height, phone, dark)
    assert browser.ask("document.images.length") == 4 * 3 + 1
    assert browser.ask(BROKEN) == 0
    assert browser.ask("document.documentElement.scrollWidth") <= width
    charts = browser.ask("[...document.querySelectorAll('svg')].map((chart) => chart.getBoundingClientRect().width)")
    assert len(charts) == 5
    assert all(width / 4 < chart <= width for chart in charts)
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(16, 17, 20)" if dark else "rgb(255, 255, 255)")
    cloud = seen_cloud(browser)
    assert np.ptp(cloud.reshape(-1, 3).astype(int), axis=0).max() > 100
    assert browser.complaints == []


def test_the_slider_uncovers_the_depth(browser: Any, page: Path) -> None:
    browser.open(page, 1280, 900)
    slider = "document.querySelector('.compare input')"
    shown = f"getComputedStyle({slider}.parentElement.querySelectorAll('img')[1]).clipPath"
    assert "50%" in browser.ask(shown)
    browser.ask(f"{slider}.scrollIntoView({{block: 'center'}})")
    x, y, width, height = browser.ask(
        f"(({{x, y, width, height}}) => [x, y, width, height])({slider}.getBoundingClientRect())"
    )
    browser.mouse("mousePressed", x + width * 0.5, y + height / 2)
    browser.mouse("mouseMoved", x + width * 0.9, y + height / 2)
    browser.mouse("mouseReleased", x + width * 0.9, y + height / 2)
    value = float(browser.ask(f"{slider}.value"))
    assert value > 80
    assert f"{value:g}%" in browser.ask(shown)
    assert browser.complaints == []


def test_the_cloud_turns_and_changes(browser: Any, page: Path) -> None:
    browser.open(page, 1280, 900)
    before = seen_cloud(browser)
    assert browser.ask(POINTS) == browser.ask(
        "JSON.parse(document.getElementById('clouds').textContent).frames[0].cloud.count"
    )
    x, y, width, height = browser.ask(CANVAS)
    browser.mouse("mousePressed", x + width / 2, y + height / 2)
    browser.mouse("mouseMoved", x + width / 2 + 150, y + height / 2 + 20)
    browser.mouse("mouseReleased", x + width / 2 + 150, y + height / 2 + 20)
    assert until(lambda: bool((seen_cloud(browser) != before).mean() > 0.005))
    browser.ask("document.getElementById('cloud-reset').click()")
    assert until(lambda: bool((seen_cloud(browser) != before).mean() < 0.001))
    count = browser.ask(POINTS)
    browser.ask("document.getElementById('cloud-truth').click()")
    assert browser.ask(POINTS) == count + 48 * 32
    assert until(lambda: bool((seen_cloud(browser) != before).mean() > 0.001))
    for control, value in (("frame", "3"), ("color", "depth")):
        choice = f"document.getElementById('cloud-{control}')"
        browser.ask(f"{choice}.value = '{value}'; {choice}.dispatchEvent(new Event('change'))")
    assert browser.ask(POINTS) == 64 * 32 + 48 * 32
    assert browser.complaints == []


def test_a_bare_recording_is_shown_too(browser: Any, tmp_path: Path, write_recording: Write) -> None:
    names = ("/image", "/camera_info", "/ground_truth/image", "/depth/camera_info", "/diagnostics")
    write_report(write_recording(tmp_path / "bag", without=names), tmp_path / "report.html", ReportOptions())
    browser.open(tmp_path / "report.html", 390, 844, phone=True)
    assert browser.ask(BROKEN) == 0
    assert browser.ask("document.querySelectorAll('.notes li').length") == 4
    assert browser.complaints == []


def test_the_film_plays(browser: Any, write_recording: Write, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    write_report(write_recording(tmp_path / "bag"), tmp_path / "report.html", ReportOptions(video=film))
    if b"vp09" not in film.read_bytes():
        pytest.skip("this OpenCV has no VP9 encoder, and browsers do not play its MPEG-4 part 2")
    browser.open(film, 1280, 900)
    video = "document.querySelector('video')"
    assert until(lambda: bool(browser.ask(f"{video}.readyState >= 2")))
    assert browser.ask(f"[{video}.videoWidth, {video}.videoHeight]") == [132, 32]
    # Six frames a tenth of a second apart, of which one had no depth: 8 Hz on average.
    assert browser.ask(f"{video}.duration") == pytest.approx(5 / 8, abs=0.02)
    assert browser.ask(f"{video}.error") is None
