"""The demo's live view: its port is taken before anything starts, and its process serves the page."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.libraries import LibraryError
from space_clip_ros.tools.demo.live_view import LiveView
from space_clip_ros.tools.live.address import listen
from space_clip_ros.tools.processes import Children


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    pytest.importorskip("tornado")
    with listen(0) as listener, pytest.raises(InputError, match="is taken; give another one"):
        LiveView(listener.getsockname()[1], "raw")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tornado", None)
    with pytest.raises(LibraryError, match=r"tornado: is not installed for this Python.*\.\[view\]"):
        LiveView(0, "raw")


def test_its_process_serves_the_page_with_lower_priority(
    tmp_path: Path, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tornado")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    view = LiveView(0, "compressed")
    target = urlsplit(view.url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
    with Children(tmp_path) as children:
        child = view.start(children)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
        children.check()
    assert child.command[:2] == ["nice", "-n"]
    assert "--image-transport=compressed" in child.command
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(target.hostname or "", target.port, timeout=60).request("GET", "/")
