"""What is written to a terminal, and what to a log."""

from __future__ import annotations

import io

import pytest

from space_clip_ros.tools import terminal
from space_clip_ros.tools.terminal import Terminal


class FakeTty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_redrawn_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_REDRAW_S", 0.0)
    stream = FakeTty()
    output = Terminal(stream)
    output.show("frame 1")
    output.show("frame 2")
    output.say("done")
    assert stream.getvalue() == "\r\x1b[Kframe 1\r\x1b[Kframe 2\r\x1b[Kdone\n"


def test_a_log_gets_plain_lines_and_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_LOG_S", 3600.0)
    stream = io.StringIO()
    output = Terminal(stream)
    for frame in range(50):
        output.show(f"frame {frame}")
    output.say("done")
    assert stream.getvalue() == "frame 0\ndone\n"
