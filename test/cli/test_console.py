"""Progress is drawn only on a terminal and only for long work, and cleared afterwards."""

from __future__ import annotations

import io
from itertools import count

import pytest

from space_clip_ros.cli import console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def draw(monkeypatch: pytest.MonkeyPatch, seconds_per_look: float) -> Terminal:
    """Return the terminal that bars are drawn on, with a clock that moves on whenever a bar looks at it."""
    terminal = Terminal()
    clock = count()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock) * seconds_per_look)
    return terminal


def test_say_and_complain_use_their_own_streams(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("result")
    console.complain("trouble")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("result\n", "trouble\n")


def test_nothing_is_drawn_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(console.progress(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_nothing_is_drawn_for_short_work(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = draw(monkeypatch, 0.1)
    list(console.progress(range(4), 4, "frames"))
    assert terminal.getvalue() == ""


def test_a_terminal_sees_the_share_done_and_a_clean_line_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = draw(monkeypatch, 3.0)
    list(console.progress(range(4), 4, "frames"))
    drawn = terminal.getvalue()
    assert "frames:  50%" in drawn and "2/4" in drawn
    *_, cleared, end = drawn.split("\r")
    assert not cleared.strip() and end == ""


def test_a_callback_sets_the_total_and_shows_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = draw(monkeypatch, 5.0)
    with console.progress_bar(0, "download", unit="B") as bar:
        report = console.callback(bar)
        report(20_000_000, 100_000_000, "first.zip")
        report(50_000_000, 100_000_000, "second.zip")
    drawn = terminal.getvalue()
    assert " 50%" in drawn and "50.0M/100M" in drawn and "MB/s" in drawn and "second.zip" in drawn
