"""What is said to a terminal, and to a file that only looks on."""

from __future__ import annotations

import io

from space_clip_ros.tools.terminal import Terminal


class FakeTty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_redrawn_and_removed() -> None:
    stream = FakeTty()
    terminal = Terminal(stream)
    terminal.show("frame 1", now=True)
    terminal.show("frame 2", now=True)
    terminal.say("done")
    assert stream.getvalue() == "\r\x1b[Kframe 1\r\x1b[Kframe 2\r\x1b[Kdone\n"


def test_a_log_gets_plain_lines_and_few_of_them() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    for frame in range(50):
        terminal.show(f"frame {frame}")
    terminal.say("done")
    assert stream.getvalue() == "frame 0\ndone\n"
