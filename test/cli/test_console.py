"""Progress is drawn for a listening terminal only, and cleared afterwards."""

from __future__ import annotations

import io

import pytest

from space_clip_ros.cli import console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_say_and_complain_use_their_own_streams(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("result")
    console.complain("trouble")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("result\n", "trouble\n")


def test_progress_is_silent_where_no_terminal_listens(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(console.progress(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_share_and_rate_and_a_clean_line_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    now = iter(range(100))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)) * 3)
    list(console.progress(range(4), 4, "frames"))
    drawn = terminal.getvalue()
    assert "frames [" in drawn
    assert " 50%" in drawn
    assert drawn.endswith("\r\x1b[K")


def test_bytes_are_shown_as_a_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    now = iter((0.0, 10.0))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    with console.progress_bar(100_000_000, "download", unit="B") as bar:
        console.callback(bar)(50_000_000, 100_000_000)
    assert "5.0 MB/s" in terminal.getvalue()
    assert "0:10 left" in terminal.getvalue()
