"""The live page in a real browser, at the width of a desk and of a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from space_clip_ros.messages.diagnostics import Level

TEXT = "document.getElementById('state').textContent"
# Read off a copy: browsers warn of canvases that are drawn and read in turns.
PIXEL = "(() => {{ const copy = document.createElement('canvas').getContext('2d', {{ willReadFrequently: true }});"
PIXEL += "copy.drawImage(document.getElementById('{}'), 0, 0); return [...copy.getImageData(20, 20, 1, 1).data]; }})()"


def show(
    browser: Any, served: Any, encoded_update: Callable[..., bytes], until: Callable[..., None], state: str
) -> None:
    until(lambda: served.server.watchers == 1, "the page")
    served.server.show(encoded_update(state))
    until(lambda: browser.ask(TEXT) == state, state)


@pytest.mark.parametrize(("width", "height", "phone"), [(1280, 900, False), (390, 844, True)])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_whole_at_every_width(
    browser: Any,
    served: Any,
    encoded_update: Callable[..., bytes],
    until: Callable[..., None],
    width: int,
    height: int,
    phone: bool,
    dark: bool,
) -> None:
    browser.open(served.url, width, height, phone, dark)
    show(browser, served, encoded_update, until, f"9.8 Hz, as it should be, at {width} pixels and {'x' * 60}")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    places = browser.ask(
        "[...document.querySelectorAll('figure:not([hidden]) canvas')].map((one) => one.getBoundingClientRect())"
        ".map(({x, y, width, height}) => [x, y, width, height])"
    )
    assert len(places) == 2, "no empty panels"
    assert all(width / 4 < place[2] <= width for place in places)
    assert all(place[2] / place[3] == pytest.approx(312 / 94, rel=0.02) for place in places), "not distorted"
    assert (places[0][1] == places[1][1]) == (not phone), "side by side on a desk, one above the other on a phone"
    red, green, blue, _ = browser.ask(PIXEL.format("depth"))
    assert red > 180 and green < 20 and blue < 20
    assert browser.ask(PIXEL.format("image"))[0] == pytest.approx(128, abs=4)
    assert browser.ask("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert browser.ask("document.querySelectorAll('.card').length") == 2
    assert "<b>tiny</b>" in browser.ask("document.getElementById('facts').textContent"), "text stays text"
    assert browser.ask("[...document.querySelectorAll('#scale .ticks span')].pop().textContent") == "20 m"
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(16, 17, 20)" if dark else "rgb(255, 255, 255)")
    assert browser.complaints == []


def test_pictures_move_and_the_end_is_told(
    browser: Any, served: Any, encoded_update: Callable[..., bytes], until: Callable[..., None]
) -> None:
    browser.open(served.url, 1280, 900)
    show(browser, served, encoded_update, until, "first")
    for grey in (30, 200, 90):
        served.server.show(encoded_update(f"grey {grey}", grey, Level.WARN))
        until(lambda grey=grey: browser.ask(TEXT) == f"grey {grey}", "the next update")
        assert browser.ask(PIXEL.format("image"))[0] == pytest.approx(grey, abs=4)
        assert browser.ask("document.getElementById('state').className") == "warn"
    served.server.close()
    until(lambda: "The demo has ended." in browser.ask(TEXT), "the end")
    assert browser.ask("document.title").startswith("Ended")
    assert browser.ask(PIXEL.format("image"))[0] == pytest.approx(90, abs=4), "the last picture stays"
    assert browser.complaints == []


def test_a_panel_appears_with_its_first_picture_and_is_cleared_when_it_ends(
    browser: Any, served: Any, encoded_update: Callable[..., bytes], until: Callable[..., None]
) -> None:
    browser.open(served.url, 1280, 900)
    show(browser, served, encoded_update, until, "no scan yet")
    hidden = "document.getElementById('{}').closest('figure').hidden"
    assert browser.ask(hidden.format("scan")) and browser.ask(hidden.format("uncertainty"))
    served.server.show(encoded_update("a scan", scan=True))
    until(lambda: browser.ask(TEXT) == "a scan", "the scan")
    assert not browser.ask(hidden.format("scan")) and browser.ask(hidden.format("uncertainty"))
    red, green, blue, _ = browser.ask(PIXEL.format("scan"))
    assert blue > 180 and red < 20 and green < 20
    served.server.show(encoded_update("no scan any more"))
    until(lambda: browser.ask(TEXT) == "no scan any more", "the scan's end")
    assert not browser.ask(hidden.format("scan")), "the page does not jump"
    assert browser.ask(PIXEL.format("scan")) == [0, 0, 0, 0]
    assert browser.complaints == []


def test_a_file_of_another_origin_may_not_watch(browser: Any, served: Any, tmp_path: Path) -> None:
    page = tmp_path / "foreign.html"
    page.write_text("<!DOCTYPE html><title>foreign</title>", encoding="utf-8")
    browser.open(page, 800, 600)
    answer = browser.ask(
        "new Promise((done) => { const socket = new WebSocket('"
        + served.url.replace("http", "ws")
        + "live'); socket.onopen = () => done('open'); socket.onerror = () => done('refused'); })"
    )
    assert answer == "refused"
    assert served.server.watchers == 0
