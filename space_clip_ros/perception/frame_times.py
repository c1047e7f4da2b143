"""When the stamps of a camera's images say that its time started again."""

from __future__ import annotations

_JUMP_BACK_S = 0.1
"""Stamps that go back by less are images out of order; by more, a bag or a simulation that starts again."""


def started_again(before_s: float | None, now_s: float) -> bool:
    """Return whether time jumped back between two frames.

    Args:
        before_s: when the newest frame so far was taken, seconds; None if there is none.
        now_s: when this one was taken, seconds.
    """
    return before_s is not None and now_s < before_s - _JUMP_BACK_S
