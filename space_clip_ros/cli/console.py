"""The command line's output: lines and progress bars. No other module of the command line prints."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from tqdm import tqdm

T = TypeVar("T")

_DELAY_S = 2.0
# tqdm's monitor thread redraws bars that skip updates; ours never do.
tqdm.monitor_interval = 0


class Report(Protocol):
    """Reports progress."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Say that ``done`` of ``total`` steps are done."""
        ...


def say(text: str = "") -> None:
    """Print one line to standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print one line to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def progress_bar(total: int, label: str, unit: str = "it") -> tqdm:
    """Return tqdm's bar on standard error, drawn only on a terminal and only if the work takes over two seconds.

    ``update(steps)`` counts steps as done. ``close()``, or the end of the bar's ``with`` block, clears the line.

    Args:
        total: steps in all; 0 if not known yet.
        label: what is going on.
        unit: of a step; ``"B"`` for bytes, shown as kB, MB and so on.
    """
    return tqdm(
        total=total or None,
        desc=label,
        unit=unit,
        unit_scale=unit == "B",
        file=sys.stderr,
        delay=_DELAY_S,
        disable=None,
        leave=False,
        miniters=0,
        dynamic_ncols=True,
    )


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield ``items`` while a bar shows how many of ``total`` are done."""
    with progress_bar(total, label) as bar:
        for item in items:
            yield item
            bar.update()


def callback(bar: tqdm) -> Report:
    """Return a ``(done, total)`` callback that drives ``bar``, for library functions that report progress."""

    def report(done: int, total: int, note: str = "") -> None:
        bar.total = total
        bar.set_postfix_str(note, refresh=False)
        bar.update(done - bar.n)

    return report
