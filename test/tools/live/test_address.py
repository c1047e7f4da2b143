"""The page's address: free and taken ports, and when a browser is opened."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from space_clip_ros.errors import InputError
from space_clip_ros.tools.live import address


def test_only_this_machine_reaches_it() -> None:
    with address.listen(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert address.address(listener) == f"http://127.0.0.1:{port}/"
        with socket.create_connection((host, port), timeout=10):
            pass


def test_a_taken_port_is_one_clear_line() -> None:
    with address.listen(0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            InputError, match=rf"^port {port} of 127\.0\.0\.1: is taken; give another one, or 0 for any"
        ):
            address.listen(port)


def test_a_port_is_free_again_at_once() -> None:
    first = address.listen(0)
    port = first.getsockname()[1]
    with socket.create_connection(first.getsockname(), timeout=10) as client:
        first.accept()[0].close()
        first.close()
        client.recv(1)
    address.listen(port).close()


def test_an_address_that_cannot_be_used_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    # Reserved for documentation, so no machine has it. A port below 1024 will not do: containers often allow those.
    monkeypatch.setattr(address, "HOST", "192.0.2.1")
    with pytest.raises(InputError, match=r"port 0 of 192\.0\.2\.1: cannot be used \(.+\); give another"):
        address.listen(0)


@pytest.mark.parametrize(("text", "error"), [("-1", argparse.ArgumentTypeError), ("65536", argparse.ArgumentTypeError)])
def test_ports_out_of_range_are_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"between 0 and 65535, got {text}"):
        address.port_number(text)
    with pytest.raises(ValueError, match="invalid literal"):
        address.port_number("http")
    assert address.port_number("0") == 0


def test_a_browser_is_opened_only_where_there_is_a_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >{opened}\n', encoding="utf-8")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not address.open_browser("http://127.0.0.1:1/")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert address.open_browser("http://127.0.0.1:2/")
    until(lambda: opened.is_file() and opened.read_text(encoding="utf-8"), "the browser")
    assert opened.read_text(encoding="utf-8") == "http://127.0.0.1:2/\n"
