"""What a report may not say."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from space_clip_ros.tools.doctor.private import without_private


def test_homes_folders_and_the_host_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "mars-7.example.org")
    monkeypatch.setenv("HOME", "/srv/people/ada")
    result = without_private(
        {
            "a": ["/home/ada/models/x.onnx: missing", "at mars-7.example.org", "mars-7", "mars-71"],
            "/Users/ada/b": f"{sys.prefix}/lib, /srv/people/ada/c and /srv/people/adamant",
            "c": [1, None, True],
        }
    )
    assert result == {
        "a": ["~/models/x.onnx: missing", "at HOST", "HOST", "mars-71"],
        "~/b": "PYTHON/lib, ~/c and /srv/people/adamant",
        "c": [1, None, True],
    }


def test_a_host_named_like_a_word_of_the_report_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "ubuntu")
    assert without_private("Ubuntu 24.04, ubuntu") == "Ubuntu 24.04, ubuntu"


def test_other_folders_by_request() -> None:
    assert without_private("/data/secret/x.onnx: no such file", Path("/data/secret")) == "x.onnx: no such file"
    assert without_private("a/b", Path()) == "a/b"
