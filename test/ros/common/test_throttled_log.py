"""Log lines by kind, no faster than a period."""

from __future__ import annotations

from space_clip_ros.ros.common.throttled_log import ThrottledLog


class Logger:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, text: str) -> None:
        self.lines.append(("info", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def error(self, text: str) -> None:
        self.lines.append(("error", text))


def test_one_line_a_period_and_a_count_of_the_rest():
    now, logger = [0.0], Logger()
    log = ThrottledLog(logger, period_s=5.0, now=lambda: now[0])
    for number in range(100):
        log.warning("bad image", f"bad {number}")
    assert logger.lines == [("warning", "bad 0")]
    now[0] = 5.0
    log.warning("bad image", "bad again")
    assert logger.lines[1:] == [("warning", "bad again (99 more like it before)")]
    now[0] = 10.0
    log.warning("bad image", "still bad")
    assert logger.lines[2:] == [("warning", "still bad")]


def test_kinds_do_not_hide_each_other():
    logger = Logger()
    log = ThrottledLog(logger, now=lambda: 0.0)
    log.warning("a", "first")
    log.error("b", "second")
    log.error("b", "third")
    assert logger.lines == [("warning", "first"), ("error", "second")]


def test_a_state_is_logged_when_it_changes():
    now, logger = [0.0], Logger()
    log = ThrottledLog(logger, period_s=5.0, now=lambda: now[0], prefix="front: ")
    for text in ("unknown", "known", "known"):
        log.info("camera", text)
    assert logger.lines == [("info", "front: unknown")]
    # What was held back comes out later, and only once.
    for now[0] in (5.0, 10.0, 20.0):
        log.info("camera", "known")
    assert logger.lines[1:] == [("info", "front: known")]
